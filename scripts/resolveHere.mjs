/**
 * Resolves a package from this repository where the importing file finds none, and takes every
 * TypeScript file outside of packages for an ES module, whatever its folder says.
 */
export async function resolve(specifier, context, next) {
  const resolved = await resolveHereToo(specifier, context, next);
  const typescript = /\.ts(\?|$)/.test(resolved.url) && !resolved.url.includes('/node_modules/');
  return typescript ? { ...resolved, format: 'module' } : resolved;
}

async function resolveHereToo(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (/^[./]|^[a-z]+:/.test(specifier)) {
      throw error;
    }
    return await next(specifier, { ...context, parentURL: import.meta.url });
  }
}
