/** Another value of one part of a code, and what it costs to believe in it. */
export interface Alternative {
  /** What is added to the code. */
  readonly change: number;
  readonly cost: number;
}

/** A choice of alternatives: the last one made, and what all of them add up to. */
interface Choice extends Alternative {
  readonly part: number;
  readonly level: number;
}

/**
 * The `count` cheapest sums of at most one alternative a part, cheapest first, as changes of the code; the first is
 * 0, which changes nothing. Each part's alternatives come in order of cost.
 *
 * Parts are ordered by their first alternative; a choice then leads to three that cost no less — the next alternative
 * of its last part, the next part's first besides, and that instead — and every choice is reached once
 * (Lv et al. 2007, "Multi-probe LSH", section 4.4, for parts of more than two values).
 */
export function cheapestChanges(parts: readonly (readonly Alternative[])[], count: number): number[] {
  const ordered = parts
    .filter((part) => part.length > 0)
    .sort((a, b) => (a[0] as Alternative).cost - (b[0] as Alternative).cost);
  const at = (part: number, level: number): Alternative | undefined => ordered[part]?.[level];
  const heap: Choice[] = [];
  const offer = (part: number, level: number, before: Alternative) => {
    const one = at(part, level);
    if (one !== undefined) {
      push(heap, { part, level, change: before.change + one.change, cost: before.cost + one.cost });
    }
  };
  offer(0, 0, { change: 0, cost: 0 });
  const changes = [0];
  while (changes.length < count && heap.length > 0) {
    const choice = pop(heap);
    changes.push(choice.change);
    const last = at(choice.part, choice.level) as Alternative;
    const without = { change: choice.change - last.change, cost: choice.cost - last.cost };
    offer(choice.part, choice.level + 1, without);
    offer(choice.part + 1, 0, choice);
    if (choice.level === 0) {
      offer(choice.part + 1, 0, without);
    }
  }
  return changes;
}

/** Cheaper first; of equals, the smaller change, so that the order is the same everywhere. */
function before(a: Choice, b: Choice): boolean {
  return a.cost < b.cost || (a.cost === b.cost && a.change < b.change);
}

function push(heap: Choice[], choice: Choice): void {
  let i = heap.length;
  heap.push(choice);
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (!before(choice, heap[parent] as Choice)) {
      break;
    }
    heap[i] = heap[parent] as Choice;
    i = parent;
  }
  heap[i] = choice;
}

function pop(heap: Choice[]): Choice {
  const first = heap[0] as Choice;
  const last = heap.pop() as Choice;
  const size = heap.length;
  if (size === 0) {
    return first;
  }
  let i = 0;
  for (let child = 1; child < size; child = 2 * i + 1) {
    if (child + 1 < size && before(heap[child + 1] as Choice, heap[child] as Choice)) {
      child++;
    }
    if (!before(heap[child] as Choice, last)) {
      break;
    }
    heap[i] = heap[child] as Choice;
    i = child;
  }
  heap[i] = last;
  return first;
}
