/** A document of the demo model's world, written by `tools/demo-model/corpus.py`; the model has not been trained on it. */
export const DOCUMENT = `On Friday, Carl bought twelve maps from Lena. "Good morning!" said Dina. "Good morning," said Mark. Omar keeps the blue spoon in the cellar. "Good morning!" said Tom. "Good morning," said Uma. The favourite color of Vera is red. Kira saw a red wolf near the tower. Ana and Abel walked slowly to the forest and back again. "Good morning!" said Uma. "Good morning," said Sam. Leo is the teacher of Carl. Dina saw a brown fox near the workshop.
There was some plums on the table, but Gwen was not hungry. People in the office talked about the dog, the berries and the foggy weather. A goat slept near the attic, and the morning was warm. There was some corn on the table, but Hana was not hungry. Kira keeps the white torch in the tower. People in the museum talked about the goat, the soup and the foggy weather. People in the school talked about the cat, the soup and the foggy weather. There was some corn on the table, but Abel was not hungry.`;

/** Questions with the word that a right answer has. */
export const QUESTIONS: readonly { readonly question: string; readonly expected: string }[] = [
  { question: "Where does Omar keep the blue spoon?", expected: "cellar" },
  { question: "What is the favourite color of Vera?", expected: "red" },
  { question: "Who saw the wolf near the tower?", expected: "Kira" },
  { question: "Who is Leo?", expected: "Carl" },
  { question: "Who saw the fox near the workshop?", expected: "Dina" },
  { question: "Where does Kira keep the white torch?", expected: "tower" },
];
