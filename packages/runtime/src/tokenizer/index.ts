export { ChatTemplate, encodeChat, type ChatMessage, type ChatTemplateOptions } from "./chat-template";
export { checkTokenizerFits, loadChatTemplate, loadTokenizer, readTokenizerFiles } from "./load-tokenizer";
export { StreamDecoder } from "./stream-decoder";
export { Tokenizer, type DecodeOptions, type EncodeOptions } from "./tokenizer";
export type { NamedTokens } from "./tokenizer-config";
