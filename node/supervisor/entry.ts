import { fileURLToPath } from 'node:url'

const ROOT = '../../'

/**
 * The path of a compiled entry point that a process can be started from; `name` is relative to the root, without an
 * extension. Run from sources (tests), it is the one that the build put below `dist/`.
 */
export function entryPoint(name: string): string {
  const fromSources = import.meta.url.endsWith('.ts')
  return fileURLToPath(new URL(`${ROOT}${fromSources ? 'dist/' : ''}${name}.js`, import.meta.url))
}
