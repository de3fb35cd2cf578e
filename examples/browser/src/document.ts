/** A document of the demo model's world; the model has not been trained on it. */
export const DOCUMENT = `On Friday, Carl bought twelve maps from Lena. "Good morning!" said Dina. "Good morning," said Mark. Mira keeps the red key in the barn. "Good morning!" said Tom. "Good morning," said Uma. The favourite color of Vera is red. Kira saw a grey wolf near the tower. Ana and Abel walked slowly to the forest and back again. Leo is the teacher of Carl. Dina saw a brown fox near the workshop. There was some plums on the table, but Gwen was not hungry. People in the office talked about the dog, the berries and the foggy weather. A goat slept near the attic, and the morning was warm. There was some corn on the table, but Hana was not hungry. Kira keeps the white torch in the tower. People in the museum talked about the goat, the soup and the foggy weather.`;

/** Questions that it answers. */
export const QUESTIONS: readonly string[] = [
  "Where does Mira keep the red key?",
  "What is the favourite color of Vera?",
  "Where does Kira keep the white torch?",
];
