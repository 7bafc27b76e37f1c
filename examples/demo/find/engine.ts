/** Answers the questions of the view Find. */
import type { OpenEngine } from '../page/messages.js';
import { Library } from './library.js';
import type { FindAnswer, FindQuestion } from './question.js';

export const openFind: OpenEngine<FindQuestion, FindAnswer> = () => {
  const opened = import('virtual:sentences').then(({ default: sentences }) => Library.open(sentences));
  let last: Promise<unknown> = opened;
  // An index answers one question after the other.
  return async (question) => {
    const library = await opened;
    const answer = last.then(() => answerOf(library, question));
    last = answer.catch(() => {});
    return await answer;
  };
};

async function answerOf(library: Library, question: FindQuestion): Promise<FindAnswer> {
  switch (question.kind) {
    case 'measure':
      return { kind: 'setting', setting: await library.measured(question) };
    case 'sentence':
      return { kind: 'sentence', text: library.anySentence() };
    case 'neighbours':
      return await library.neighbours(question);
  }
}
