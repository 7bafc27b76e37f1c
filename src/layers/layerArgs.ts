import type { layers } from '@tensorflow/tfjs-layers';
import { type Door, show } from '../door.js';

type LayerArgs = NonNullable<ConstructorParameters<typeof layers.Layer>[0]>;

/** Refuses arguments that tfjs's own layer would stumble over; asked before it reads them. */
export function checkLayerArgs(args: LayerArgs, door: Door): void {
  const { name, trainable } = door.object('args', args);
  if (name != null && typeof name !== 'string') {
    throw door.kind(`\`name\` must be a string, got ${show(name)}.`);
  }
  if (trainable != null) {
    door.flag('trainable', trainable);
  }
}
