/** The repository as files, for tests that judge its shape: what is there, what it says, what it names. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

const ROOT = join(import.meta.dirname, '../..')
/** What is made, installed or kept by git. */
const NOT_OURS = new Set(['.git', '.dtss', 'coverage', 'dist', 'node_modules'])

/** A place in the repository, as editors and terminals understand it. */
export interface Found {
  readonly path: string
  readonly line: number
  readonly text: string
}

/** Paths of all files, relative to the root, with `/`, sorted. */
export const FILES: readonly string[] = readdirSync(ROOT, { withFileTypes: true })
  .filter(({ name }) => !NOT_OURS.has(name))
  .flatMap((entry) => (entry.isDirectory() ? filesBelow(join(ROOT, entry.name)) : [entry.name]))
  .sort()

export const SOURCES = FILES.filter((path) => path.endsWith('.ts'))
export const DOCUMENTS = FILES.filter((path) => path.endsWith('.md'))

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8')
}

export function readJson(path: string): unknown {
  return JSON.parse(readText(path))
}

export function exists(path: string): boolean {
  return existsSync(join(ROOT, path))
}

/** Every match in the files' lines, as `path:line: match`. */
export function findAll(paths: readonly string[], pattern: RegExp): string[] {
  const everywhere = new RegExp(pattern.source, [...new Set(`${pattern.flags}g`)].join(''))
  return paths.flatMap((path) =>
    readText(path)
      .split('\n')
      .flatMap((line, index) =>
        [...line.matchAll(everywhere)].map((match) => at({ path, line: index + 1, text: match[0] }))
      )
  )
}

export function at({ path, line, text }: Found): string {
  return `${path}:${line}: ${text}`
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter(({ name }) => !NOT_OURS.has(name))
    .flatMap((entry) => {
      const path = join(folder, entry.name)
      return entry.isDirectory() ? filesBelow(path) : [relative(ROOT, path).split(sep).join('/')]
    })
}
