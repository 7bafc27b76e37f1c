/** The values used last, by key: what is asked for again is not made again. */
export class Recent<T> {
  private readonly values = new Map<string, T>();

  /**
   * @param most values kept.
   * @param dropped called with each value that is no longer kept.
   */
  constructor(
    private readonly most: number,
    private readonly dropped: (value: T) => void = () => {},
  ) {}

  /** The value of a key, made if it is not kept. */
  get(key: string, make: () => T): T {
    const value = this.values.get(key) ?? make();
    this.values.delete(key);
    this.values.set(key, value);
    for (const [oldest, old] of this.values) {
      if (this.values.size <= this.most) {
        break;
      }
      this.values.delete(oldest);
      this.dropped(old);
    }
    return value;
  }
}
