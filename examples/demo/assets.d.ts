declare module '*.wasm?url' {
  const url: string;
  export default url;
}
declare module '*.css';
declare module 'virtual:sentences' {
  const sentences: import('./find/sentences.js').Sentences;
  export default sentences;
}
