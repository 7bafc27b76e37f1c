/** Beam search: the best texts so far are followed by their likeliest tokens. */
import { largest, logSoftmax } from './sampling.js';

/** A text that is followed. */
export interface Beam {
  readonly tokens: readonly number[];
  /** The sum of its tokens' log-probabilities. */
  readonly sum: number;
}

/** A text of the next step, and the row of the batch that it goes on from. */
interface Step extends Beam {
  readonly row: number;
}

export interface BeamSettings {
  readonly numBeams: number;
  readonly lengthPenalty: number;
  readonly maxNewTokens: number;
  readonly stopTokens: ReadonlySet<number>;
}

/** The beams of one prompt. */
export class BeamSearch {
  private beams: readonly Beam[] = [{ tokens: [], sum: 0 }];
  private ended: readonly Beam[] = [];

  constructor(private readonly settings: BeamSettings) {}

  /** How many texts are followed: 0 when the search is over. */
  get width(): number {
    return this.beams.length;
  }

  /** The best text so far, and whether a stop token ended it. */
  get best(): Beam & { readonly stopped: boolean } {
    const better = (a: Beam | undefined, b: Beam) =>
      a === undefined || this.score(b) > this.score(a) ? b : a;
    const ended = this.ended.reduce<Beam | undefined>(better, undefined);
    const live = this.beams.reduce<Beam | undefined>(better, undefined);
    const best = [ended, live].filter((beam) => beam !== undefined).reduce(better) as Beam;
    return { ...best, stopped: best === ended && this.settings.stopTokens.has(best.tokens.at(-1) as number) };
  }

  /**
   * One more token each.
   *
   * @param logits of each text that is followed.
   * @returns of each text that is followed from now on, the one that it goes on from, and its last token.
   */
  advance(
    logits: readonly ArrayLike<number>[],
  ): readonly { readonly from: number; readonly token: number }[] {
    const { numBeams, stopTokens, maxNewTokens } = this.settings;
    const steps = this.beams.flatMap((beam, row) =>
      this.continuations(beam, row, logits[row] as ArrayLike<number>),
    );
    steps.sort((a, b) => b.sum - a.sum);
    const ends = (step: Step) =>
      stopTokens.has(step.tokens.at(-1) as number) || step.tokens.length === maxNewTokens;
    // Those that end take no places of those that go on, of which there are to be `numBeams`.
    const live = steps.filter((step) => !ends(step)).slice(0, numBeams);
    const last = live.at(-1);
    const room = live.length === numBeams && last !== undefined ? steps.indexOf(last) : steps.length;
    this.end(steps.slice(0, room).filter(ends));
    this.beams = this.over(live) ? [] : live;
    return this.beams.map((beam) => ({ from: (beam as Step).row, token: beam.tokens.at(-1) as number }));
  }

  private continuations({ tokens, sum }: Beam, row: number, logits: ArrayLike<number>): Step[] {
    const log = logSoftmax(logits);
    // No beam has more successors than are followed, besides those that end.
    const count = this.settings.numBeams + this.settings.stopTokens.size;
    return largest(log, count).map((token) => ({
      row,
      tokens: [...tokens, token],
      sum: sum + (log[token] as number),
    }));
  }

  private end(texts: readonly Beam[]): void {
    this.ended = [...this.ended, ...texts]
      .sort((a, b) => this.score(b) - this.score(a))
      .slice(0, this.settings.numBeams);
  }

  /** Whether no text that is followed can still become better than those that have ended. */
  private over(live: readonly Beam[]): boolean {
    const { numBeams, lengthPenalty, maxNewTokens } = this.settings;
    const worst = this.ended.at(-1);
    if (live.length === 0) {
      return true;
    }
    if (worst === undefined || this.ended.length < numBeams) {
      return false;
    }
    // A sum only falls, and what divides it is largest at the end, if it grows.
    const most = live.map(
      ({ tokens, sum }) => sum / (lengthPenalty > 0 ? maxNewTokens : tokens.length + 1) ** lengthPenalty,
    );
    return Math.max(...most) <= this.score(worst);
  }

  private score({ tokens, sum }: Beam): number {
    return sum / Math.max(1, tokens.length) ** this.settings.lengthPenalty;
  }
}
