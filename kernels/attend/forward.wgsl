// One round of LSH attention, merged in place into the rounds before it.
//
//   qk [BH, L, D]   inverseNorms [BH, L]   v [BH, L, E]   buckets [BH, R, L]
//   index: token at each slot [BH, R, L]; from windowsStart on, chunk of each token [BH, R, L], or
//   with bucketWindow the first slot of each bucket [BH, R, N+2]
//   →   out [BH, L, E]   lse [BH, L]
//
// A tile is 8·ROWS consecutive slots of the sorted row as queries, against the slots of all their
// windows as keys, 32·KEY_VECTORS at a time. It need not start at a chunk's edge: a pair outside its
// window is excluded like any other. (out, lse) of earlier rounds *is* a state of the online softmax,
// with maximum lse and sum 1, so a round goes on where the last one stopped. A token is a query of
// exactly one tile in a round: no two workgroups meet, and nothing grows with R.
//
// With bucketWindow the tile takes its buckets one by one, keys from the first of the bucket on: what
// a query adds up, and in which order, then depends on its own bucket alone, to the last bit.
//
// One workgroup per (tile, b·h), 8×8 lanes. Lane (x, y) owns queries y + 8a with keys x + 8b of a tile of
// logits, then the same queries with vec4 x + 8c of the values' columns.
// Logits are in units of log2, the scale folded into the query.

override DROPOUT: bool = false; // lavapipe runs what a branch leaves out

struct Params {
  L: u32,
  D: u32,
  E: u32,
  R: u32,
  C: u32,
  P: u32,
  A: u32,
  N: u32,
  round: u32,
  tiles: u32,              // ceil(L / (8·ROWS))
  workgroups: u32,
  qkStart: u32,            // elements between a binding's start and the first row of this batch
  vStart: u32,
  bucketsStart: u32,
  windowsStart: u32,       // elements of index before the windows
  bucketWindow: u32,       // the options, 0 or 1
  causal: u32,
  wrap: u32,
  acrossBuckets: u32,
  correct: u32,
  outStart: u32,
  lseStart: u32,
  scale: f32,              // of the logits, times log2(e)
  firstRow: u32,           // first b·h of this batch of rows
  H: u32,
  seed: u32,
  dropBelow: u32,          // a pair whose random word is below this is dropped
  keep: f32,               // 1 / (1 − dropout)
}

alias Stored = vec4f; // or vec4h: rows as 16-bit floats

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<Stored>;
@group(0) @binding(2) var<storage, read> inverseNorms: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<Stored>;
@group(0) @binding(4) var<storage, read> buckets: array<i32>;
@group(0) @binding(5) var<storage, read> index: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> lse: array<f32>;

const ROWS: u32 = 4u;           // queries of a lane
const KEY_VECTORS: u32 = 2u;    // vec4 of keys that a lane meets at a time
const COLUMN_VECTORS: u32 = 2u; // set to ceil(E / 32), or more: vec4 of output a lane holds for each query
const QUERIES: u32 = 8u * ROWS;
const KEYS: u32 = 32u * KEY_VECTORS;
const SLICE: u32 = 8u;   // vec4 of depth that are staged at a time
const PITCH: u32 = 9u;   // plus one against bank conflicts
const WEIGHT_PITCH: u32 = 8u * KEY_VECTORS + 1u;

const WRAP: bool = true; // a pipeline of its own would save a few percent, and takes seconds to compile

const NONE: u32 = 0xffffffffu; // no token: beyond the row, or padding
const NOTHING: f32 = -1e38;    // log-sum-exp of a query that has seen no key
const LN_2: f32 = 0.6931471805599453;

var<workgroup> staged: array<vec4f, (QUERIES + KEYS) * PITCH>; // slices of queries and keys; then weights
var<workgroup> partial: array<f32, QUERIES * 8u>;
var<workgroup> keyToken: array<u32, KEYS>;
var<workgroup> keyBucket: array<u32, KEYS>;
var<workgroup> keyScale: array<f32, KEYS>;
var<workgroup> keyWord: array<u32, KEYS>; // of dropout
var<workgroup> latest: atomic<u32>;       // the largest `end` of a query
var<workgroup> reached: atomic<u32>;      // keys of a tile up to the last that some query may see

/// The slots that the windows of a segment cover, counted through all rounds.
struct Span {
  first: u32,
  count: u32,
  chunkBase: u32, // added to a slot's chunk in its row; may be below zero, where unsigned sums wrap
  next: u32,      // the slot at which the next segment begins
}

/// The span of the tile's segment that begins at a slot. With bucketWindow a segment is the tokens of
/// one bucket, else the whole tile. `before` and `after` are the chunks that windows reach; `later`
/// says whether the others of a causal pair are the later tokens.
fn spanOf(row: u32, segment: u32, firstSlot: u32, endSlot: u32, before: u32, after: u32, later: bool) -> Span {
  let L = params.L;
  let C = params.C;
  let roundStart = params.round * L;
  if (params.bucketWindow != 0u) {
    let token = index[row * params.R * L + roundStart + segment];
    let bucket = u32(buckets[params.bucketsStart + row * params.R * L + roundStart + token]);
    if (bucket >= params.N) {
      return Span(0u, 0u, 0u, endSlot); // padding, which sees nothing, is all that follows
    }
    let edge = params.windowsStart + (row * params.R + params.round) * (params.N + 2u) + bucket;
    let next = index[edge + 1u];
    // A bucket is in order of position: a causal pair's other is not on the far side of the tile.
    let causal = params.causal != 0u;
    let first = select(index[edge], segment, causal && later);
    let end = select(next, min(next, endSlot), causal && !later);
    return Span(roundStart + first, end - first, 0u, next);
  }
  let chunkFirst = firstSlot / C;
  let chunkLast = (endSlot - 1u) / C;
  if (params.wrap != 0u) {
    // Windows run on through the rounds, and back from the last to the first.
    let all = params.R * (L / C);
    let first = (params.round * (L / C) + chunkFirst + all - before % all) % all * C;
    return Span(first, (chunkLast - chunkFirst + 1u + before + after) * C, before - chunkFirst, endSlot);
  }
  let chunkStart = chunkFirst - min(before, chunkFirst);
  let end = min((chunkLast + after + 1u) * C, L);
  return Span(roundStart + chunkStart * C, end - chunkStart * C, 0u - chunkStart, endSlot);
}

/// A random word of a counter (O'Neill's PCG as a hash; Jarzynski and Olano 2020).
fn pcg(counter: u32) -> u32 {
  let state = counter * 747796405u + 2891336453u;
  let word = ((state >> ((state >> 28u) + 4u)) ^ state) * 277803737u;
  return (word >> 22u) ^ word;
}

/// The random word of a row's round; the seed's stream is named "drop".
fn roundWord(seedRow: u32, round: u32) -> u32 {
  return pcg(pcg(pcg(pcg(params.seed ^ 0x64726f70u) + seedRow / params.H) + seedRow % params.H) + round);
}

/// What dropout makes of four weights of 1, from the random words of their queries and keys.
fn kept(queryWords: vec4u, keyWords: vec4u) -> vec4f {
  if (params.dropBelow == 0u) {
    return vec4f(1.0);
  }
  let counters = queryWords + keyWords;
  let words = vec4u(pcg(counters.x), pcg(counters.y), pcg(counters.z), pcg(counters.w));
  return select(vec4f(params.keep), vec4f(), words < vec4u(params.dropBelow));
}

/// A key as a lane holds it.
struct Key {
  token: u32,  // NONE where there is none
  bucket: u32,
  at: u32,     // its token, or any that exists
  scale: f32,  // 1 / |k|
}

fn keyOf(row: u32, span: Span, position: u32) -> Key {
  let L = params.L;
  let rowStart = row * params.R * L;
  var slot = span.first + min(position, span.count - 1u);
  var roundStart = params.round * L;
  var others = 0u;
  if (WRAP) { // divisions are slow where they are not needed
    slot %= params.R * L;
    let round = slot / L;
    roundStart = round * L;
    // Another round's buckets are others: none is equal to one of this round.
    others = (round + params.R - params.round) % params.R * (params.N + 1u);
  }
  let at = index[rowStart + slot];
  let bucket = u32(buckets[params.bucketsStart + rowStart + roundStart + at]);
  let real = position < span.count && bucket < params.N;
  return Key(select(NONE, at, real), bucket + others, at, select(0.0, inverseNorms[row * L + at], real));
}

/// The logits of which `counts` says that they count.
fn counted(logits: vec4f, counts: vec4<bool>) -> vec4f {
  return select(vec4f(NOTHING), logits, counts);
}

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let ordinal = group.x + group.y * groups.x;
  let x = lane % 8u;
  let y = lane / 8u;
  let L = params.L;
  let C = params.C;
  let depths = params.D / 4u;
  let columns = params.E / 4u;
  let row = ordinal / params.tiles;
  let firstSlot = ordinal % params.tiles * QUERIES;
  // A surplus workgroup has no slots. (With an early return lavapipe masks every load, and compiles longer.)
  let endSlot = select(firstSlot, min(firstSlot + QUERIES, L), ordinal < params.workgroups);
  let qkRow = params.qkStart / 4u + row * L * depths;
  let vRow = params.vStart / 4u + row * L * columns;
  let outRow = params.outStart / 4u + row * L * columns;
  let indexRow = row * params.R * L;
  let bucketRow = params.bucketsStart + indexRow;
  let roundStart = params.round * L;

  // This lane's queries, and the state that earlier rounds left for them. Of the eight lanes that
  // share a query, the first carries the sum.
  let ofRound = roundWord(params.firstRow + row, params.round);
  var token: array<u32, ROWS> = array<u32, ROWS>();
  var bucket: array<u32, ROWS> = array<u32, ROWS>();
  var end: array<u32, ROWS> = array<u32, ROWS>(); // only tokens before it are seen
  var word: array<u32, ROWS> = array<u32, ROWS>();
  var largest: array<f32, ROWS> = array<f32, ROWS>();
  var sum: array<f32, ROWS> = array<f32, ROWS>();
  var sums: array<vec4f, ROWS * COLUMN_VECTORS> = array<vec4f, ROWS * COLUMN_VECTORS>();
  for (var a = 0u; a < ROWS; a++) {
    token[a] = index[indexRow + roundStart + min(firstSlot + y + 8u * a, max(endSlot, 1u) - 1u)];
    bucket[a] = u32(buckets[bucketRow + roundStart + token[a]]);
    end[a] = select(0u, select(NONE, token[a], params.causal != 0u), bucket[a] < params.N);
    word[a] = pcg(ofRound + token[a]);
    let resumes = params.round > 0u;
    largest[a] = select(NOTHING, lse[params.lseStart + row * L + token[a]], resumes);
    sum[a] = select(0.0, 1.0, largest[a] > NOTHING && x == 0u);
    atomicMax(&latest, end[a]);
  }
  // One load in a loop, and one store at the end, compile much faster than one for each of the sums;
  // a bound that the compiler does not know keeps the loops.
  // Where a lane holds many columns their loops stay loops too.
  let vectors = select((columns + 7u) / 8u, COLUMN_VECTORS, COLUMN_VECTORS <= 4u);
  let held = min(ROWS * COLUMN_VECTORS, params.E * ROWS);
  for (var n = 0u; n < select(0u, held, params.round > 0u); n++) {
    let at = index[indexRow + roundStart + min(firstSlot + y + n / COLUMN_VECTORS * 8u, max(endSlot, 1u) - 1u)];
    let loaded = out[outRow + at * columns + min(n % COLUMN_VECTORS * 8u + x, columns - 1u)];
    for (var i = 0u; i < ROWS * COLUMN_VECTORS; i++) {
      sums[i] = select(sums[i], loaded, i == n);
    }
  }

  // A segment of the tile: with bucketWindow the queries of one bucket, else all of them.
  for (var segment = firstSlot; segment < endSlot;) {
    let span = spanOf(row, segment, firstSlot, endSlot, params.P, params.A, false);
    // Where in the span each query's window begins, and how long it is.
    var windowFirst: array<u32, ROWS> = array<u32, ROWS>();
    var windowCount: array<u32, ROWS> = array<u32, ROWS>();
    for (var a = 0u; a < ROWS; a++) {
      let slot = min(firstSlot + y + 8u * a, endSlot - 1u);
      if (params.bucketWindow != 0u) {
        windowCount[a] = select(0u, span.count, slot >= segment && slot < span.next);
      } else {
        let chunk = slot / C + span.chunkBase;
        windowFirst[a] = (max(chunk, params.P) - params.P) * C;
        windowCount[a] = (chunk + params.A + 1u) * C - windowFirst[a];
      }
    }
    segment = span.next;

    for (var firstKey = 0u; firstKey < span.count; firstKey += KEYS) {
      workgroupBarrier();
      if (lane < KEYS) {
        let key = keyOf(row, span, firstKey + lane);
        keyToken[lane] = key.token;
        keyBucket[lane] = key.bucket;
        keyScale[lane] = key.scale;
        keyWord[lane] = pcg(key.token);
        if (key.token < atomicLoad(&latest)) {
          atomicMax(&reached, lane + 1u);
        }
      }
      workgroupBarrier();
      // A causal tile skips the keys after the last that it sees, 32 at a time.
      let seenKeys = (atomicLoad(&reached) + 31u) / 32u * 32u;

      // Logits: depth in slices of 32, keys scaled to unit length as they are staged.
      var logits: array<vec4f, ROWS * KEY_VECTORS> = array<vec4f, ROWS * KEY_VECTORS>();
      for (var d = 0u; d < depths; d += SLICE) {
        if (d > 0u) {
          workgroupBarrier();
        }
        for (var n = lane; n < (QUERIES + seenKeys) * SLICE; n += 64u) {
          let r = n / SLICE;
          let key = max(r, QUERIES) - QUERIES;
          var at = min(keyToken[key], L - 1u);
          var scale = keyScale[key];
          if (r < QUERIES) {
            at = index[indexRow + roundStart + min(firstSlot + r, endSlot - 1u)];
            scale = params.scale;
          }
          let part = vec4f(qk[qkRow + at * depths + min(d + n % SLICE, depths - 1u)]) * scale;
          staged[r * PITCH + n % SLICE] = select(vec4f(), part, r < QUERIES || keyToken[key] != NONE);
        }
        workgroupBarrier();
        for (var c = 0u; c < min(SLICE, depths - d); c++) {
          var own: array<vec4f, ROWS> = array<vec4f, ROWS>();
          for (var a = 0u; a < ROWS; a++) {
            own[a] = staged[(y + 8u * a) * PITCH + c];
          }
          for (var g = 0u; g < KEY_VECTORS; g++) {
            if (32u * g >= seenKeys) {
              continue;
            }
            let at = (QUERIES + 32u * g + x) * PITCH + c;
            let other = transpose(mat4x4f(
              staged[at], staged[at + 8u * PITCH], staged[at + 16u * PITCH], staged[at + 24u * PITCH]));
            for (var a = 0u; a < ROWS; a++) {
              let to = a * KEY_VECTORS + g;
              logits[to] = fma(vec4f(own[a].x), other[0], logits[to]);
              logits[to] = fma(vec4f(own[a].y), other[1], logits[to]);
              logits[to] = fma(vec4f(own[a].z), other[2], logits[to]);
              logits[to] = fma(vec4f(own[a].w), other[3], logits[to]);
            }
          }
        }
      }

      // Which of the lane's pairs count. Self never does: it is a last resort, decided at the end.
      var j: array<vec4u, KEY_VECTORS> = array<vec4u, KEY_VECTORS>();
      for (var g = 0u; g < KEY_VECTORS; g++) {
        let n = 32u * g + x;
        let position = firstKey + n + vec4u(0u, 8u, 16u, 24u);
        j[g] = vec4u(keyToken[n], keyToken[n + 8u], keyToken[n + 16u], keyToken[n + 24u]);
        let ids = vec4u(keyBucket[n], keyBucket[n + 8u], keyBucket[n + 16u], keyBucket[n + 24u]);
        for (var a = 0u; a < ROWS; a++) {
          var counts = (j[g] < vec4u(end[a])) & (j[g] != vec4u(token[a]))
            & (position - windowFirst[a] < vec4u(windowCount[a]));
          counts &= (ids == vec4u(bucket[a])) | vec4<bool>(params.acrossBuckets != 0u);
          logits[a * KEY_VECTORS + g] = counted(logits[a * KEY_VECTORS + g], counts);
        }
      }
      if (params.correct != 0u) {
        // Each key once: a pair that an earlier round has seen is not seen again.
        for (var r = 0u; r < params.round; r++) {
          let ofBuckets = bucketRow + r * L;
          let ofChunks = params.windowsStart + indexRow + r * L;
          // All chunks, or all ids, are 0 where they do not matter.
          let chunked = params.bucketWindow == 0u;
          let identified = params.bucketWindow != 0u || params.acrossBuckets == 0u;
          var chunks: array<vec4u, KEY_VECTORS> = array<vec4u, KEY_VECTORS>();
          var ids: array<vec4u, KEY_VECTORS> = array<vec4u, KEY_VECTORS>();
          for (var g = 0u; g < KEY_VECTORS; g++) {
            let at = min(j[g], vec4u(L - 1u));
            if (chunked) {
              let ats = ofChunks + at;
              chunks[g] = vec4u(index[ats.x], index[ats.y], index[ats.z], index[ats.w]);
            }
            if (identified) {
              let ats = ofBuckets + at;
              ids[g] = vec4u(vec4i(buckets[ats.x], buckets[ats.y], buckets[ats.z], buckets[ats.w]));
            }
          }
          for (var a = 0u; a < ROWS; a++) {
            var chunk = 0u;
            var id = 0u;
            if (chunked) {
              chunk = index[ofChunks + token[a]];
            }
            if (identified) {
              id = u32(buckets[ofBuckets + token[a]]);
            }
            for (var g = 0u; g < KEY_VECTORS; g++) {
              let seen = (chunks[g] + params.P - chunk <= vec4u(params.P + params.A)) & (ids[g] == vec4u(id));
              logits[a * KEY_VECTORS + g] = counted(logits[a * KEY_VECTORS + g], !seen);
            }
          }
        }
      }
      for (var a = 0u; a < ROWS; a++) {
        var most = logits[a * KEY_VECTORS];
        for (var g = 1u; g < KEY_VECTORS; g++) {
          most = max(most, logits[a * KEY_VECTORS + g]);
        }
        partial[8u * (y + 8u * a) + x] = max(max(most.x, most.y), max(most.z, most.w));
      }
      workgroupBarrier();
      atomicStore(&reached, 0u);
      if (lane < QUERIES) {
        var most = NOTHING;
        for (var n = 0u; n < 8u; n++) {
          most = max(most, partial[8u * lane + n]);
        }
        partial[8u * lane] = most;
      }
      workgroupBarrier();

      for (var a = 0u; a < ROWS; a++) {
        let query = y + 8u * a;
        let most = max(largest[a], partial[8u * query]);
        let fade = exp2(largest[a] - most);
        largest[a] = most;
        sum[a] *= fade;
        for (var c = 0u; c < vectors; c++) {
          sums[a * COLUMN_VECTORS + c] *= fade;
        }
        for (var g = 0u; g < KEY_VECTORS; g++) {
          let logit = logits[a * KEY_VECTORS + g];
          var weight = select(vec4f(), exp2(min(logit - most, vec4f())), logit > vec4f(NOTHING));
          sum[a] += dot(weight, vec4f(1.0));
          if (DROPOUT) {
            let n = 32u * g + x;
            weight *= kept(vec4u(word[a]), vec4u(keyWord[n], keyWord[n + 8u], keyWord[n + 16u], keyWord[n + 24u]));
          }
          staged[query * WEIGHT_PITCH + 8u * g + x] = weight;
        }
      }
      workgroupBarrier();

      // Weighted values. All lanes read the same few rows: a cache serves them as well as staging would.
      for (var n = 0u; n < seenKeys / 4u; n++) {
        let key = n / 8u * 32u + n % 8u;
        let keys = vec4u(keyToken[key], keyToken[key + 8u], keyToken[key + 16u], keyToken[key + 24u]);
        let rows = vRow + min(keys, vec4u(L - 1u)) * columns;
        var weights: array<vec4f, ROWS> = array<vec4f, ROWS>();
        for (var a = 0u; a < ROWS; a++) {
          weights[a] = staged[(y + 8u * a) * WEIGHT_PITCH + n];
        }
        for (var c = 0u; c < vectors; c++) {
          let column = min(8u * c + x, columns - 1u);
          let first = select(vec4f(), vec4f(v[rows.x + column]), keys.x != NONE);
          let second = select(vec4f(), vec4f(v[rows.y + column]), keys.y != NONE);
          let third = select(vec4f(), vec4f(v[rows.z + column]), keys.z != NONE);
          let fourth = select(vec4f(), vec4f(v[rows.w + column]), keys.w != NONE);
          for (var a = 0u; a < ROWS; a++) {
            let to = a * COLUMN_VECTORS + c;
            sums[to] = fma(vec4f(weights[a].x), first, sums[to]);
            sums[to] = fma(vec4f(weights[a].y), second, sums[to]);
            sums[to] = fma(vec4f(weights[a].z), third, sums[to]);
            sums[to] = fma(vec4f(weights[a].w), fourth, sums[to]);
          }
        }
      }
    }
  }

  // All lanes of a query add up, and write its output and log-sum-exp.
  workgroupBarrier();
  for (var a = 0u; a < ROWS; a++) {
    partial[8u * (y + 8u * a) + x] = sum[a];
  }
  workgroupBarrier();
  if (lane < QUERIES) {
    var total = 0.0;
    for (var n = 0u; n < 8u; n++) {
      total += partial[8u * lane + n];
    }
    partial[8u * lane] = total;
  }
  workgroupBarrier();
  let last = params.round + 1u == params.R;
  for (var n = 0u; n < held; n++) {
    var result = sums[0];
    var most = largest[0];
    var at = token[0];
    for (var i = 1u; i < ROWS * COLUMN_VECTORS; i++) {
      result = select(result, sums[i], i == n);
      most = select(most, largest[i / COLUMN_VECTORS], i == n);
      at = select(at, token[i / COLUMN_VECTORS], i == n);
    }
    let query = y + n / COLUMN_VECTORS * 8u;
    let column = n % COLUMN_VECTORS * 8u + x;
    if (firstSlot + query >= endSlot || column >= columns) {
      continue;
    }
    let total = partial[8u * query];
    let seen = total > 0.0;
    if (column == 0u) {
      lse[params.lseStart + row * L + at] =
        select(NOTHING, (most + log2(total)) * select(1.0, LN_2, last), seen);
    }
    if (seen) {
      result /= total;
    } else if (last) {
      // Nothing in any round: self is all there is (a first token has no one else; paper, section 3).
      result = vec4f(v[vRow + at * columns + column]);
    } else {
      result = vec4f();
    }
    out[outRow + at * columns + column] = result;
  }
}
