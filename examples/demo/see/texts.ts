/** Texts to begin with. */

export interface Text {
  readonly name: string;
  readonly text: string;
}

/** A nursery rhyme says the same again and again; a speech comes back to a phrase; a task is nothing but repetition. */
export const TEXTS: readonly Text[] = [
  {
    name: 'A nursery rhyme',
    text: `This is the house that Jack built. This is the malt that lay in the house that Jack built. This is the rat that ate the malt that lay in the house that Jack built. This is the cat that killed the rat that ate the malt that lay in the house that Jack built. This is the dog that worried the cat that killed the rat that ate the malt that lay in the house that Jack built. This is the cow with the crumpled horn that tossed the dog that worried the cat that killed the rat that ate the malt that lay in the house that Jack built. This is the maiden all forlorn that milked the cow with the crumpled horn that tossed the dog that worried the cat that killed the rat that ate the malt that lay in the house that Jack built.`,
  },
  {
    name: 'Lincoln, 1863',
    text: `Four score and seven years ago our fathers brought forth on this continent, a new nation, conceived in Liberty, and dedicated to the proposition that all men are created equal. Now we are engaged in a great civil war, testing whether that nation, or any nation so conceived and so dedicated, can long endure. We are met on a great battle-field of that war. We have come to dedicate a portion of that field, as a final resting place for those who here gave their lives that that nation might live. It is altogether fitting and proper that we should do this. But, in a larger sense, we can not dedicate — we can not consecrate — we can not hallow — this ground. The brave men, living and dead, who struggled here, have consecrated it, far above our poor power to add or detract. The world will little note, nor long remember what we say here, but it can never forget what they did here.`,
  },
  {
    name: 'Say it again',
    text: `begin oak elm ash fir yew oak box elm fig ash begin oak elm ash fir yew oak box elm fig ash begin oak elm ash fir yew oak box elm fig ash begin oak elm ash fir yew oak box elm fig ash`,
  },
];
