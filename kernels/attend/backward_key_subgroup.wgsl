enable subgroups;
diagnostic(off, subgroup_uniformity); // branches around subgroup operations are alike in a subgroup's lanes

// backward_key.wgsl for devices with subgroups: the gradient of one round of LSH attention with respect to keys
// and values, added to the rounds before it. Same buffers, same parameters, same results but for rounding.
//
//   qk [BH, L, D]   v, grad [BH, L, E]   buckets [BH, R, L]
//   facts [BH, L]: 1/|k|, log-sum-exp over all rounds in units of log2, delta
//   index, as in forward.wgsl
//   →   dqk [BH, L, D], to which the key’s part is added; dv [BH, L, E]
//
// backward_query_subgroup.wgsl from the other side: a lane owns ROWS keys, with their values and both sums, and
// queries come one by one, with the output's gradient.
//
// One workgroup per (64·ROWS slots, b·h), 64 lanes.

override DROPOUT: bool = false;
override LOOPED: bool = false; // keep loads and stores in loops, to compile fast; else arrays become registers

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
  gradStart: u32,
  dqkStart: u32,
  dvStart: u32,
  logitScale: f32,         // of the logits, times log2(e)
  scale: f32,              // of the logits
  firstRow: u32,           // first b·h of this batch of rows
  H: u32,
  seed: u32,
  dropBelow: u32,          // a pair whose random word is below this is dropped
  keep: f32,               // 1 / (1 − dropout)
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qk: array<vec4f>;
@group(0) @binding(2) var<storage, read> v: array<vec4f>;
@group(0) @binding(3) var<storage, read> grad: array<vec4f>;
@group(0) @binding(4) var<storage, read> facts: array<vec4f>;
@group(0) @binding(5) var<storage, read> buckets: array<i32>;
@group(0) @binding(6) var<storage, read> index: array<u32>;
@group(0) @binding(7) var<storage, read_write> dqk: array<vec4f>;
@group(0) @binding(8) var<storage, read_write> dv: array<vec4f>;

const ROWS: u32 = 1u;            // keys of a lane
const SUBGROUP: u32 = 8u;        // lanes of a subgroup: 8, 16, 32 or 64
const DEPTH_VECTORS: u32 = 16u;  // D / 4
const COLUMN_VECTORS: u32 = 16u; // E / 4
const DEPTH_PARTS: u32 = (DEPTH_VECTORS + SUBGROUP - 1u) / SUBGROUP; // vec4 that a lane loads of a row
const COLUMN_PARTS: u32 = (COLUMN_VECTORS + SUBGROUP - 1u) / SUBGROUP;
const STEP: u32 = min(SUBGROUP, 32u); // queries that the lanes hold: a bit each

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

/// Of four queries, those whose windows, of this round or an earlier one, hold a key in chunk `own`.
fn windowHolds(own: u32, ownBucket: u32, queryChunks: vec4u, queryBuckets: vec4u) -> vec4<bool> {
  if (params.bucketWindow != 0u) {
    return queryBuckets == vec4u(ownBucket);
  }
  let near = vec4u(own + params.P) - queryChunks <= vec4u(params.P + params.A);
  if (params.acrossBuckets != 0u) {
    return near;
  }
  return near & (queryBuckets == vec4u(ownBucket));
}

/// Of four queries, those that may see a key at all.
fn visibleTo(token: u32, ownBucket: u32, queries: vec4u) -> vec4<bool> {
  let real = (queries != vec4u(NONE)) & vec4<bool>(ownBucket < params.N);
  if (params.causal != 0u) {
    return real & (vec4u(token) < queries);
  }
  return real & (queries != vec4u(token));
}

/// A random word of a counter, as in forward.wgsl.
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

/// Four of a number that the lanes hold.
fn quad(held: u32, first: u32) -> vec4u {
  return vec4u(
    subgroupShuffle(held, first), subgroupShuffle(held, first + 1u),
    subgroupShuffle(held, first + 2u), subgroupShuffle(held, first + 3u));
}

/// n / d, if it is below 2^22: a processor divides integers lane by lane.
fn quotient(n: u32, d: u32) -> u32 {
  let near = u32(f32(n) / f32(d));
  return select(select(near, near + 1u, n - near * d >= d), near - 1u, near * d > n);
}

/// Four truths as bits from `first` on.
fn bitsOf(four: vec4<bool>, first: u32) -> u32 {
  let bits = select(vec4u(), vec4u(1u, 2u, 4u, 8u), four);
  return (bits.x | bits.y | bits.z | bits.w) << first;
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
  let ownSlot = ordinal % params.tiles * (64u * ROWS) + lane / SUBGROUP * (SUBGROUP * ROWS) + lane % SUBGROUP;
  let qkRow = params.qkStart / 4u + row * L * depth;
  let vRow = params.vStart / 4u + row * L * columns;
  let gradRow = params.gradStart / 4u + row * L * columns;
  let indexRow = row * params.R * L;
  let bucketRow = params.bucketsStart + indexRow;
  let roundStart = params.round * L;

  // This lane's keys: every SUBGROUP-th slot from ownSlot on.
  var token: array<u32, ROWS> = array<u32, ROWS>();
  var bucket: array<u32, ROWS> = array<u32, ROWS>();
  var word: array<u32, ROWS> = array<u32, ROWS>();
  var scale: array<f32, ROWS> = array<f32, ROWS>();
  var k: array<array<vec4f, DEPTH_VECTORS>, ROWS> = array<array<vec4f, DEPTH_VECTORS>, ROWS>();
  var value: array<array<vec4f, COLUMN_VECTORS>, ROWS> = array<array<vec4f, COLUMN_VECTORS>, ROWS>();
  var keySums: array<array<vec4f, DEPTH_VECTORS>, ROWS> = array<array<vec4f, DEPTH_VECTORS>, ROWS>();
  var valueSums: array<array<vec4f, COLUMN_VECTORS>, ROWS> = array<array<vec4f, COLUMN_VECTORS>, ROWS>();
  for (var a = 0u; a < ROWS; a++) {
    let slot = ownSlot + a * SUBGROUP;
    let j = index[indexRow + roundStart + min(slot, L - 1u)];
    token[a] = j;
    bucket[a] = select(params.N, u32(buckets[bucketRow + roundStart + j]), slot < L); // else no query sees it
    word[a] = pcg(j);
    scale[a] = facts[row * L + j].x;
    for (var d = 0u; d < depth; d++) {
      k[a][d] = qk[qkRow + j * depth + d] * scale[a];
    }
    for (var e = 0u; e < columns; e++) {
      value[a][e] = v[vRow + j * columns + e];
    }
  }
  let firstSlot = subgroupMin(min(ownSlot, L - 1u));
  let endSlot = subgroupMax(min(ownSlot + (ROWS - 1u) * SUBGROUP, L - 1u)) + 1u;

  // A segment: with bucketWindow the keys of one bucket, else all of the subgroup.
  for (var segment = firstSlot; segment < endSlot;) {
    let span = spanOf(row, segment, firstSlot, endSlot, params.A, params.P, true);
    segment = span.next;
    var chunk: array<u32, ROWS> = array<u32, ROWS>();
    for (var a = 0u; a < ROWS; a++) {
      chunk[a] = quotient(min(ownSlot + a * SUBGROUP, L - 1u), C) + span.chunkBase;
    }

    var following = 0u;
    loop {
      if (following >= span.count) {
        break;
      }
      // The next queries of which some see a key: each lane finds one, and which of them see its own.
      var held = NONE; // its token
      var at = 0u;     // the same, or any that exists
      var known = vec4f();
      var heldWord = 0u;
      var counts: array<u32, ROWS> = array<u32, ROWS>();
      var keeps: array<u32, ROWS> = array<u32, ROWS>();
      var some = 0u;
      loop {
        let place = following + member;
        var slot = span.first + min(place, span.count - 1u);
        var itsRound = params.round;
        if (params.wrap != 0u) {
          slot -= quotient(slot, params.R * L) * (params.R * L);
          itsRound = quotient(slot, L);
        }
        at = index[indexRow + slot];
        var ofBucket = u32(buckets[bucketRow + itsRound * L + at]);
        known = facts[row * L + at];
        if (DROPOUT) {
          heldWord = pcg(roundWord(params.firstRow + row, itsRound) + at);
        }
        held = select(NONE, at, member < STEP && place < span.count && ofBucket < params.N);
        // Another round's buckets are others: none is equal to one of this round.
        let ahead = itsRound + params.R - params.round;
        ofBucket += select(ahead, ahead - params.R, ahead >= params.R) * (params.N + 1u);
        let ofChunk = quotient(place, C);
        for (var a = 0u; a < ROWS; a++) {
          counts[a] = 0u;
          keeps[a] = 0u;
        }
        var t = 0u;
        loop {
          let tokens = quad(held, t);
          let chunks = quad(ofChunk, t);
          let ids = quad(ofBucket, t);
          for (var a = 0u; a < ROWS; a++) {
            let seen = visibleTo(token[a], bucket[a], tokens) & windowHolds(chunk[a], bucket[a], chunks, ids);
            counts[a] |= bitsOf(seen, t);
            if (DROPOUT) {
              let weights = kept(quad(heldWord, t), vec4u(word[a]));
              keeps[a] |= bitsOf(weights > vec4f(), t);
            }
          }
          t += 4u;
          continuing {
            break if (t >= STEP);
          }
        }
        if (params.correct != 0u && params.round > 0u) {
          // Each key once: a pair that an earlier round has seen is not seen again.
          var r = 0u;
          loop {
            let ofBuckets = bucketRow + r * L;
            let ofChunks = params.windowsStart + indexRow + r * L;
            var chunks: array<u32, ROWS + 1u> = array<u32, ROWS + 1u>(); // of the lane's own, then of what it holds
            var ids: array<u32, ROWS + 1u> = array<u32, ROWS + 1u>();
            for (var a = 0u; a <= ROWS; a++) {
              var which = at;
              if (a < ROWS) {
                which = token[min(a, ROWS - 1u)];
              }
              if (params.bucketWindow == 0u) {
                chunks[a] = index[ofChunks + which];
              }
              if (params.bucketWindow != 0u || params.acrossBuckets == 0u) {
                ids[a] = u32(buckets[ofBuckets + which]);
              }
            }
            var t = 0u;
            loop {
              let theirs = quad(chunks[ROWS], t);
              let theirIds = quad(ids[ROWS], t);
              for (var a = 0u; a < ROWS; a++) {
                counts[a] &= ~bitsOf(windowHolds(chunks[a], ids[a], theirs, theirIds), t);
              }
              t += 4u;
              continuing {
                break if (t >= STEP);
              }
            }
            r++;
            continuing {
              break if (r >= params.round);
            }
          }
        }
        var any = 0u;
        for (var a = 0u; a < ROWS; a++) {
          any |= counts[a];
        }
        some = subgroupOr(any);
        following += STEP;
        continuing {
          break if (some != 0u || following >= span.count);
        }
      }
      if (some == 0u) {
        break;
      }

      loop {
        let t = firstTrailingBit(some);
        some &= some - 1u;
        let i = subgroupShuffle(at, t);
        let lse = subgroupShuffle(known.y, t);
        let delta = subgroupShuffle(known.z, t);
        var q: array<vec4f, DEPTH_PARTS> = array<vec4f, DEPTH_PARTS>();
        var slope: array<vec4f, COLUMN_PARTS> = array<vec4f, COLUMN_PARTS>();
        for (var p = 0u; p < DEPTH_PARTS; p++) {
          q[p] = qk[qkRow + i * depth + min(p * SUBGROUP + member, depth - 1u)] * params.logitScale;
        }
        for (var p = 0u; p < COLUMN_PARTS; p++) {
          slope[p] = grad[gradRow + i * columns + min(p * SUBGROUP + member, columns - 1u)];
        }
        // In the order of forward_subgroup.wgsl, to the last bit: the log-sum-exp is of these logits.
        var logits: array<f32, ROWS> = array<f32, ROWS>();
        for (var d = 0u; d < DEPTH_VECTORS; d++) {
          let x = subgroupShuffle(q[d / SUBGROUP], d % SUBGROUP);
          for (var a = 0u; a < ROWS; a++) {
            let y = k[a][d];
            logits[a] = fma(y.w, x.w, fma(y.z, x.z, fma(y.y, x.y, fma(y.x, x.x, logits[a]))));
          }
        }
        var products: array<vec4f, ROWS> = array<vec4f, ROWS>();
        for (var e = 0u; e < COLUMN_VECTORS; e++) {
          let x = subgroupShuffle(slope[e / SUBGROUP], e % SUBGROUP);
          for (var a = 0u; a < ROWS; a++) {
            products[a] = fma(value[a][e], x, products[a]);
          }
        }
        var shares: array<f32, ROWS> = array<f32, ROWS>();
        var ds: array<f32, ROWS> = array<f32, ROWS>();
        for (var a = 0u; a < ROWS; a++) {
          let w = select(0.0, exp2(min(logits[a] - lse, 0.0)), ((counts[a] >> t) & 1u) != 0u);
          var keep = 1.0;
          if (DROPOUT) {
            keep = select(0.0, params.keep, ((keeps[a] >> t) & 1u) != 0u);
          }
          shares[a] = w * keep;
          // Divided by |k| at once, since the product of large values and queries may have no float.
          ds[a] = scale[a] * w * (keep * dot(products[a], vec4f(1.0)) - delta);
        }
        for (var e = 0u; e < COLUMN_VECTORS; e++) {
          let x = subgroupShuffle(slope[e / SUBGROUP], e % SUBGROUP);
          for (var a = 0u; a < ROWS; a++) {
            valueSums[a][e] = fma(vec4f(shares[a]), x, valueSums[a][e]);
          }
        }
        for (var d = 0u; d < DEPTH_VECTORS; d++) {
          let x = subgroupShuffle(q[d / SUBGROUP], d % SUBGROUP);
          for (var a = 0u; a < ROWS; a++) {
            keySums[a][d] = fma(vec4f(ds[a]), x, keySums[a][d]);
          }
        }
        continuing {
          break if (some == 0u);
        }
      }
    }
  }

  for (var a = 0u; a < ROWS; a++) {
    if (ownSlot + a * SUBGROUP >= L) {
      continue;
    }
    // Through the key's normalisation: what is along the key is lost. The queries were scaled, and by log2 e.
    var along = 0.0;
    for (var d = 0u; d < depth; d++) {
      along += dot(k[a][d], keySums[a][d]);
    }
    for (var d = 0u; d < depth; d++) {
      dqk[params.dqkStart / 4u + (row * L + token[a]) * depth + d]
        += LN_2 * (keySums[a][d] - k[a][d] * along);
    }
    // A query that saw nothing returned its own v: so does its gradient.
    let alone = facts[row * L + token[a]].y <= NOTHING;
    for (var e = 0u; e < columns; e++) {
      let at = params.dvStart / 4u + (row * L + token[a]) * columns + e;
      var before = vec4f();
      if (params.round > 0u) {
        before = dv[at];
      } else if (alone) {
        before = grad[gradRow + token[a] * columns + e];
      }
      dv[at] = before + valueSums[a][e];
    }
  }
}
