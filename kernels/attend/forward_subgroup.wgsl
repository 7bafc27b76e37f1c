enable subgroups;
diagnostic(off, subgroup_uniformity); // branches around subgroup operations are alike in a subgroup's lanes

// forward.wgsl for devices with subgroups: one round of LSH attention, merged in place into the rounds
// before it. Same buffers, same parameters, same results but for rounding.
//
//   qk [BH, L, D]   inverseNorms [BH, L]   v [BH, L, E]   buckets [BH, R, L]
//   index: token at each slot [BH, R, L]; from windowsStart on, chunk of each token [BH, R, L], or
//   with bucketWindow the first slot of each bucket [BH, R, N+2]
//   →   out [BH, L, E]   lse [BH, L]
//
// A lane owns ROWS consecutive slots as queries: q and the weighted sum of values stay in its registers.
// The lanes of a subgroup walk over the slots of all their windows, 16 at a time: 8 lanes hold a vec4 of
// 8 of these keys, the next 8 lanes the vec4 after it, and so on; by shuffles all lanes get them all. No
// lane waits for another, and nothing goes through workgroup memory.
//
// One workgroup per (64·ROWS slots, b·h), 64 lanes. Logits are in units of log2, the scale folded into
// the query.

override DROPOUT: bool = false;
override WRAP: bool = false;
override LOOPED: bool = false; // keep the loops over depth, to compile fast; else arrays become registers

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
  tiles: u32,              // ceil(L / (64·ROWS))
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

alias Stored = vec4f; // or vec4h, where rows are stored as 16-bit floats

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<Stored>;
@group(0) @binding(2) var<storage, read> inverseNorms: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<Stored>;
@group(0) @binding(4) var<storage, read> buckets: array<i32>;
@group(0) @binding(5) var<storage, read> index: array<u32>;
@group(0) @binding(6) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> lse: array<f32>;

const ROWS: u32 = 1u;           // queries of a lane
const SUBGROUP: u32 = 8u;       // lanes of a subgroup: 8, 16, 32 or 64
const DEPTH_VECTORS: u32 = 16u; // D / 4
const COLUMN_VECTORS: u32 = 16u; // E / 4
const KEYS: u32 = 16u;
const PARTS: u32 = SUBGROUP / 8u; // vec4 of a key that the subgroup loads at once
const QUADS: u32 = KEYS / 4u;

const NONE: u32 = 0xffffffffu; // no token: beyond the row, or padding
const NOTHING: f32 = -1e38;    // log-sum-exp of a query that has seen no key
const LN_2: f32 = 0.6931471805599453;

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

/// Four of a number that the lanes hold.
fn quad(held: u32, first: u32) -> vec4u {
  return vec4u(
    subgroupShuffle(held, first), subgroupShuffle(held, first + 1u),
    subgroupShuffle(held, first + 2u), subgroupShuffle(held, first + 3u));
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
  @builtin(subgroup_invocation_id) member: u32,
) {
  let ordinal = group.x + group.y * groups.x;
  if (ordinal >= params.workgroups) {
    return;
  }
  let L = params.L;
  let C = params.C;
  let depth = select(DEPTH_VECTORS, params.D / 4u, LOOPED);
  let columns = select(COLUMN_VECTORS, params.E / 4u, LOOPED);
  let row = ordinal / params.tiles;
  let ownSlot = (ordinal % params.tiles * 64u + lane) * ROWS;
  let qkRow = params.qkStart / 4u + row * L * depth;
  let vRow = params.vStart / 4u + row * L * columns;
  let outRow = params.outStart / 4u + row * L * columns;
  let indexRow = row * params.R * L;
  let bucketRow = params.bucketsStart + indexRow;
  let roundStart = params.round * L;
  let part = member / 8u;

  // This lane's queries, and the state that earlier rounds left for them.
  let ofRound = roundWord(params.firstRow + row, params.round);
  var token: array<u32, ROWS> = array<u32, ROWS>();
  var bucket: array<u32, ROWS> = array<u32, ROWS>();
  var end: array<u32, ROWS> = array<u32, ROWS>(); // only tokens before it are seen
  var word: array<u32, ROWS> = array<u32, ROWS>();
  var largest: array<f32, ROWS> = array<f32, ROWS>();
  var sum: array<f32, ROWS> = array<f32, ROWS>();
  var q: array<vec4f, ROWS * DEPTH_VECTORS> = array<vec4f, ROWS * DEPTH_VECTORS>();
  var sums: array<vec4f, ROWS * COLUMN_VECTORS> = array<vec4f, ROWS * COLUMN_VECTORS>();
  for (var a = 0u; a < ROWS; a++) {
    token[a] = index[indexRow + roundStart + min(ownSlot + a, L - 1u)];
    bucket[a] = u32(buckets[bucketRow + roundStart + token[a]]);
    end[a] = select(0u, select(NONE, token[a], params.causal != 0u), bucket[a] < params.N);
    word[a] = pcg(ofRound + token[a]);
    largest[a] = NOTHING;
    for (var d = 0u; d < depth; d++) {
      q[d * ROWS + a] = vec4f(qk[qkRow + token[a] * depth + d]) * params.scale;
    }
    if (params.round > 0u) {
      largest[a] = lse[params.lseStart + row * L + token[a]];
      sum[a] = select(0.0, 1.0, largest[a] > NOTHING);
      for (var e = 0u; e < columns; e++) {
        sums[e * ROWS + a] = out[outRow + token[a] * columns + e];
      }
    }
  }
  let firstSlot = subgroupMin(min(ownSlot, L - 1u));
  let endSlot = subgroupMax(min(ownSlot + ROWS, L));
  var latest = end[0];
  for (var a = 1u; a < ROWS; a++) {
    latest = max(latest, end[a]);
  }
  latest = subgroupMax(latest);

  // A segment: with bucketWindow the queries of one bucket, else all of the subgroup.
  for (var segment = firstSlot; segment < endSlot;) {
    let span = spanOf(row, segment, firstSlot, endSlot, params.P, params.A, false);
    // Where in the span each query's window begins, and how long it is.
    var windowFirst: array<u32, ROWS> = array<u32, ROWS>();
    var windowCount: array<u32, ROWS> = array<u32, ROWS>();
    for (var a = 0u; a < ROWS; a++) {
      let slot = min(ownSlot + a, L - 1u);
      if (params.bucketWindow != 0u) {
        windowCount[a] = select(0u, span.count, slot >= segment && slot < span.next);
      } else {
        let chunk = slot / C + span.chunkBase;
        windowFirst[a] = (max(chunk, params.P) - params.P) * C;
        windowCount[a] = (chunk + params.A + 1u) * C - windowFirst[a];
      }
    }
    segment = span.next;
    if (span.count == 0u) {
      continue;
    }

    var following = 0u;
    loop {
      // The next 16 keys of which some query may see one. A lane holds one of the first 8, and of the others.
      var firstKey = 0u;
      var left = Key(NONE, 0u, 0u, 0.0);
      var right = Key(NONE, 0u, 0u, 0.0);
      loop {
        firstKey = following;
        left = keyOf(row, span, firstKey + member % 8u);
        right = keyOf(row, span, firstKey + 8u + member % 8u);
        following += KEYS;
        continuing {
          break if (following >= span.count || subgroupAny(min(left.token, right.token) < latest));
        }
      }

      var logits: array<vec4f, ROWS * QUADS> = array<vec4f, ROWS * QUADS>();
      let leftAt = qkRow + left.at * depth;
      let rightAt = qkRow + right.at * depth;
      var d = 0u;
      loop {
        let held = min(d + part, depth - 1u);
        let k0 = select(vec4f(), vec4f(qk[leftAt + held]) * left.scale, left.token != NONE);
        let k1 = select(vec4f(), vec4f(qk[rightAt + held]) * right.scale, right.token != NONE);
        for (var p = 0u; p < PARTS; p++) {
          if (d + p < depth) {
            for (var t = 0u; t < QUADS; t++) {
              var k = k0;
              if (t >= QUADS / 2u) {
                k = k1;
              }
              let first = p * 8u + t % 2u * 4u;
              let x = subgroupShuffle(k, first);
              let y = subgroupShuffle(k, first + 1u);
              let z = subgroupShuffle(k, first + 2u);
              let w = subgroupShuffle(k, first + 3u);
              for (var a = 0u; a < ROWS; a++) {
                let own = q[(d + p) * ROWS + a];
                var products = fma(vec4f(own.x), vec4f(x.x, y.x, z.x, w.x), logits[t * ROWS + a]);
                products = fma(vec4f(own.y), vec4f(x.y, y.y, z.y, w.y), products);
                products = fma(vec4f(own.z), vec4f(x.z, y.z, z.z, w.z), products);
                logits[t * ROWS + a] = fma(vec4f(own.w), vec4f(x.w, y.w, z.w, w.w), products);
              }
            }
          }
        }
        continuing {
          d += PARTS;
          break if (d >= depth);
        }
      }

      // Which pairs count. Self never does: it is a last resort, decided at the end.
      for (var t = 0u; t < QUADS; t++) {
        var key = left;
        if (t >= QUADS / 2u) {
          key = right;
        }
        let j = quad(key.token, t % 2u * 4u);
        let keyBucket = quad(key.bucket, t % 2u * 4u);
        let position = firstKey + 4u * t + vec4u(0u, 1u, 2u, 3u);
        for (var a = 0u; a < ROWS; a++) {
          var counts = (j < vec4u(end[a])) & (j != vec4u(token[a]))
            & (position - windowFirst[a] < vec4u(windowCount[a]));
          counts &= (keyBucket == vec4u(bucket[a])) | vec4<bool>(params.acrossBuckets != 0u);
          logits[t * ROWS + a] = counted(logits[t * ROWS + a], counts);
        }
      }
      if (params.correct != 0u) {
        // Each key once: a pair that an earlier round has seen is not seen again.
        for (var r = 0u; r < params.round; r++) {
          let ofBuckets = bucketRow + r * L;
          let ofChunks = params.windowsStart + indexRow + r * L;
          var chunks: array<u32, ROWS + 2u> = array<u32, ROWS + 2u>(); // of the two keys, then of the queries
          var ids: array<u32, ROWS + 2u> = array<u32, ROWS + 2u>();
          for (var i = 0u; i < ROWS + 2u; i++) {
            var at = left.at;
            if (i == 1u) {
              at = right.at;
            } else if (i > 1u) {
              at = token[max(i, 2u) - 2u];
            }
            if (params.bucketWindow == 0u) {
              chunks[i] = index[ofChunks + at];
            }
            if (params.bucketWindow != 0u || params.acrossBuckets == 0u) {
              ids[i] = u32(buckets[ofBuckets + at]);
            }
          }
          for (var t = 0u; t < QUADS; t++) {
            let theirs = quad(chunks[t / 2u], t % 2u * 4u);
            let theirBuckets = quad(ids[t / 2u], t % 2u * 4u);
            for (var a = 0u; a < ROWS; a++) {
              // All chunks, or all ids, are 0 where they do not matter.
              let seen = (theirs + params.P - chunks[a + 2u] <= vec4u(params.P + params.A))
                & (theirBuckets == vec4u(ids[a + 2u]));
              logits[t * ROWS + a] = counted(logits[t * ROWS + a], !seen);
            }
          }
        }
      }

      var fade: array<f32, ROWS> = array<f32, ROWS>();
      for (var a = 0u; a < ROWS; a++) {
        var four = logits[a];
        for (var t = 1u; t < QUADS; t++) {
          four = max(four, logits[t * ROWS + a]);
        }
        let most = max(largest[a], max(max(four.x, four.y), max(four.z, four.w)));
        fade[a] = exp2(largest[a] - most);
        largest[a] = most;
        var total = vec4f();
        for (var t = 0u; t < QUADS; t++) {
          let logit = logits[t * ROWS + a];
          var weight = select(vec4f(), exp2(min(logit - most, vec4f())), logit > vec4f(NOTHING));
          total += weight;
          if (DROPOUT) {
            var j = left.token;
            if (t >= QUADS / 2u) {
              j = right.token;
            }
            weight *= kept(vec4u(word[a]), quad(pcg(j), t % 2u * 4u));
          }
          logits[t * ROWS + a] = weight;
        }
        sum[a] = sum[a] * fade[a] + dot(total, vec4f(1.0));
      }

      // Weighted values, columns in the place of depth.
      let leftValue = vRow + left.at * columns;
      let rightValue = vRow + right.at * columns;
      var e = 0u;
      loop {
        let held = min(e + part, columns - 1u);
        let v0 = select(vec4f(), vec4f(v[leftValue + held]), left.token != NONE);
        let v1 = select(vec4f(), vec4f(v[rightValue + held]), right.token != NONE);
        for (var p = 0u; p < PARTS; p++) {
          if (e + p < columns) {
            var column: array<vec4f, ROWS> = array<vec4f, ROWS>();
            for (var a = 0u; a < ROWS; a++) {
              column[a] = sums[(e + p) * ROWS + a] * fade[a];
            }
            for (var t = 0u; t < KEYS; t++) {
              var value = v0;
              if (t >= 8u) {
                value = v1;
              }
              value = subgroupShuffle(value, p * 8u + t % 8u);
              for (var a = 0u; a < ROWS; a++) {
                column[a] = fma(vec4f(logits[t / 4u * ROWS + a][t % 4u]), value, column[a]);
              }
            }
            for (var a = 0u; a < ROWS; a++) {
              sums[(e + p) * ROWS + a] = column[a];
            }
          }
        }
        continuing {
          e += PARTS;
          break if (e >= columns);
        }
      }
      continuing {
        break if (following >= span.count);
      }
    }
  }

  let last = params.round + 1u == params.R;
  for (var a = 0u; a < ROWS; a++) {
    if (ownSlot + a >= L) {
      continue;
    }
    let seen = sum[a] > 0.0;
    var state = NOTHING;
    if (seen) {
      state = (largest[a] + log2(sum[a])) * select(1.0, LN_2, last);
    }
    lse[params.lseStart + row * L + token[a]] = state;
    for (var e = 0u; e < columns; e++) {
      var result = vec4f();
      if (seen) {
        result = sums[e * ROWS + a] / sum[a];
      } else if (last) {
        // Nothing in any round: self is all there is (a first token has no one else; paper, section 3).
        result = vec4f(v[vRow + token[a] * columns + e]);
      }
      out[outRow + token[a] * columns + e] = result;
    }
  }
}
