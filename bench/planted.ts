/** Vectors whose near neighbours are known to be near: directions around planted centres. */

/** Unit vectors, twenty about each centre at some 30 degrees, and queries that belong to the same centres. */
export function planted(n: number, D: number, queries: number) {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform());
  const centres = Float32Array.from({ length: Math.ceil(n / 20) * D }, normal);
  const around = (count: number) => {
    const rows = new Float32Array(count * D);
    for (let i = 0; i < count; i++) {
      const centre = (i % (centres.length / D)) * D;
      const row = rows.subarray(i * D, (i + 1) * D);
      row.set(centres.subarray(centre, centre + D).map((x) => x + 0.6 * normal()));
      const length = Math.hypot(...row);
      row.set(row.map((x) => x / length));
    }
    return rows;
  };
  return { name: `planted, ${n} × ${D}`, D, rows: around(n), queries: around(queries) };
}
