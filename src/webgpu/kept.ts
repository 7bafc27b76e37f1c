const all: PerDevice<unknown>[] = [];

/** What is kept for each device: pipelines, buffers. */
export class PerDevice<T> {
  private readonly kept = new WeakMap<GPUDevice, T>();

  constructor(private readonly make: () => T) {
    all.push(this);
  }

  of(device: GPUDevice): T {
    const found = this.kept.get(device) ?? this.make();
    this.kept.set(device, found);
    return found;
  }

  forget(device: GPUDevice): void {
    this.kept.delete(device);
  }
}

/** Forgets what is kept for a device that has refused something: it may be that. */
export function forgetKept(device: GPUDevice): void {
  for (const one of all) {
    one.forget(device);
  }
}
