/** A model of one MultiHeadAttention (com.microsoft), encoded as the protocol buffers of onnx.proto. */

const FLOAT = 1;
const INT_ATTRIBUTE = 2;
const IR_VERSION = 8;
const OPSET = 17;

function varint(value) {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) {
      return [...bytes, rest];
    }
    bytes.push((rest % 128) + 128);
  }
}

/** A field: a number, or the bytes of a text or a message. */
function field(number, value) {
  if (typeof value === 'number') {
    return [...varint(8 * number), ...varint(value)];
  }
  const bytes = typeof value === 'string' ? [...new TextEncoder().encode(value)] : value;
  return [...varint(8 * number + 2), ...varint(bytes.length), ...bytes];
}

const message = (...fields) => fields.flat();

/** A tensor's name, type and shape (ValueInfoProto). */
function value(name, shape) {
  const dimensions = message(...shape.map((size) => field(1, field(1, size))));
  return message(field(1, name), field(2, field(1, message(field(1, FLOAT), field(2, dimensions)))));
}

function integer(name, number) {
  return message(field(1, name), field(3, number), field(20, INT_ATTRIBUTE));
}

/** query, key, value `[B, L, H·D]` → output, the same. */
export function attentionModel({ B, H, L, D, causal }) {
  const shape = [B, L, H * D];
  const inputs = ['query', 'key', 'value'];
  const node = message(
    ...inputs.map((name) => field(1, name)),
    field(2, 'output'),
    field(4, 'MultiHeadAttention'),
    field(5, integer('num_heads', H)),
    ...(causal ? [field(5, integer('unidirectional', 1))] : []),
    field(7, 'com.microsoft'),
  );
  const graph = message(
    field(1, node),
    field(2, 'attention'),
    ...inputs.map((name) => field(11, value(name, shape))),
    field(12, value('output', shape)),
  );
  const opset = (domain, version) => field(8, message(field(1, domain), field(2, version)));
  return Uint8Array.from(
    message(field(1, IR_VERSION), field(7, graph), opset('', OPSET), opset('com.microsoft', 1)),
  );
}
