/** Resolves a package from this repository where the importing file finds none. */
export async function resolve(specifier, context, next) {
  try {
    return await next(specifier, context);
  } catch (error) {
    if (/^[./]|^[a-z]+:/.test(specifier)) {
      throw error;
    }
    return await next(specifier, { ...context, parentURL: import.meta.url });
  }
}
