import { createRequire } from 'node:module'

/** The version of DTSS. The name resolves to the package itself, from its sources and from `dist/` alike. */
export function packageVersion(): string {
  return (createRequire(import.meta.url)('dtss/package.json') as { version: string }).version
}
