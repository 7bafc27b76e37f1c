/** The k smallest numbers offered, in order; of equals, those of the lower slot. */
export class Nearest {
  readonly slots: Int32Array;
  readonly values: Float64Array;
  count = 0;

  constructor(private readonly k: number) {
    this.slots = new Int32Array(k);
    this.values = new Float64Array(k);
  }

  /** What is beyond it need not be offered. */
  get bound(): number {
    return this.count < this.k ? Number.POSITIVE_INFINITY : (this.values[this.k - 1] as number);
  }

  offer(slot: number, value: number): void {
    let i = this.count;
    if (i === this.k) {
      if (i === 0 || !this.comesBefore(slot, value, i - 1)) {
        return;
      }
      i--;
    } else {
      this.count++;
    }
    for (; i > 0 && this.comesBefore(slot, value, i - 1); i--) {
      this.slots[i] = this.slots[i - 1] as number;
      this.values[i] = this.values[i - 1] as number;
    }
    this.slots[i] = slot;
    this.values[i] = value;
  }

  clear(): void {
    this.count = 0;
  }

  private comesBefore(slot: number, value: number, i: number): boolean {
    const other = this.values[i] as number;
    return value < other || (value === other && slot < (this.slots[i] as number));
  }
}
