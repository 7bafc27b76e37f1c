// The package's main file does not load as an ES module; this one does, and has no declarations.
declare module 'wgsl_reflect/wgsl_reflect.module.js' {
  export * from 'wgsl_reflect';
}
