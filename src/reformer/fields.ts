import { type Door, show } from '../door.js';
import { ACTIVATIONS } from './activations.js';

const MOST = 1000;

/** A JSON object. */
export type Json = Readonly<Record<string, unknown>>;

/**
 * Reads the fields of a configuration, each with its default and its rule. A field that is null is one that
 * is not there, unless null means something.
 */
export class ConfigReader {
  private readonly asked = new Set<string>();

  constructor(
    private readonly door: Door,
    private readonly json: Json,
  ) {}

  integer(name: string, fallback: number, least: number, most?: number): number {
    return this.door.integer(name, this.value(name, fallback) as number, least, most);
  }

  integers(name: string, fallback: readonly number[], least: number): readonly number[] {
    return this.list(name, fallback).map((value) => this.door.integer(name, value as number, least));
  }

  flag(name: string, fallback: boolean): boolean {
    return this.door.flag(name, this.value(name, fallback) as boolean);
  }

  /** A share from 0 to below 1. */
  share(name: string, fallback: number): number {
    return this.door.share(name, this.value(name, fallback) as number);
  }

  /** A number from 0 to one beyond which sums of weights would soon be beyond float32. */
  positive(name: string, fallback: number): number {
    const value = this.value(name, fallback);
    if (typeof value !== 'number' || !(value >= 0 && value <= MOST)) {
      throw this.door.range(`\`${name}\` must be a number from 0 to ${MOST}, got ${said(value)}.`);
    }
    return value;
  }

  oneOf<T extends string>(name: string, fallback: T, choices: readonly T[]): T {
    return this.choice(name, this.value(name, fallback), choices);
  }

  choice<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
    return this.door.oneOf(name, value as T, choices);
  }

  list(name: string, fallback: readonly unknown[]): readonly unknown[] {
    const value = this.value(name, fallback);
    if (!Array.isArray(value) || value.length === 0) {
      throw this.door.kind(
        `\`${name}\` must be a list with something in it, got ${said(value)}. Try ${JSON.stringify(fallback)}.`,
      );
    }
    return value;
  }

  layers(name: string, fallback: readonly ('lsh' | 'local')[]): readonly ('lsh' | 'local')[] {
    return this.list(name, fallback).map((value) => this.choice(name, value, ['lsh', 'local']));
  }

  /** What `read` makes of a field, or `absent` where the field is null or missing. */
  nullable<T>(name: string, read: () => T, absent: T | null = null): T | null {
    this.asked.add(name);
    const value = this.json[name];
    return value === undefined ? absent : value === null ? null : read();
  }

  /** A token, several, or none. */
  tokens(name: string, fallback: number): number | readonly number[] | null {
    return this.nullable<number | readonly number[]>(
      name,
      () => (Array.isArray(this.json[name]) ? this.integers(name, [], 0) : this.integer(name, fallback, 0)),
      fallback,
    );
  }

  buckets(name: string): number | readonly number[] | null {
    return this.nullable<number | readonly number[]>(name, () => {
      const value = this.json[name];
      const factors = this.listed(name, value);
      for (const factor of factors) {
        if (!Number.isInteger(factor) || (factor as number) < 2 || (factor as number) % 2 !== 0) {
          throw this.door.range(
            `\`${name}\` must be an even number from 2 up, or a list of such, got ${said(value)}. Try 64, or null for a number that suits the length.`,
          );
        }
      }
      return value as number | readonly number[];
    });
  }

  activation(name: string, fallback: string): string {
    return this.oneOf(name, fallback, Object.keys(ACTIVATIONS));
  }

  /** The number of classes, which transformers writes as their names. */
  labels(): number {
    const names = this.value('id2label', undefined);
    this.asked.delete('id2label'); // the names are no business of the model
    const count = typeof names === 'object' && names !== null ? Object.keys(names).length : 2;
    return this.integer('num_labels', count, 1);
  }

  /** Of the transformers that wrote the configuration; the newest where none did. */
  majorVersion(): number {
    const text = this.value('transformers_version', '');
    const version = typeof text === 'string' ? Number.parseInt(text, 10) : Number.NaN;
    return Number.isNaN(version) ? Number.POSITIVE_INFINITY : version;
  }

  /** The fields that nobody asked for, and `kept`. */
  others(kept: readonly string[]): Json {
    const unread = ([name]: [string, unknown]) => kept.includes(name) || !this.asked.has(name);
    return Object.fromEntries(Object.entries(this.json).filter(unread));
  }

  private listed(name: string, value: unknown): readonly unknown[] {
    return Array.isArray(value) ? this.list(name, [64, 128]) : [value];
  }

  private value(name: string, fallback: unknown): unknown {
    this.asked.add(name);
    return this.json[name] ?? fallback;
  }
}

/** A field as a config.json has it. */
function said(value: unknown): string {
  try {
    return JSON.stringify(value) ?? show(value);
  } catch {
    return show(value);
  }
}
