/**
 * Lists the handlers of a folder, in a process made for it: importing them runs the user's code, and compiling is work.
 *
 * Modules are the folder's own `.ts`, `.mts`, `.js`, `.mjs` and `.cjs` files, except those that begin with `.` or `_`,
 * type declarations and tests. A handler's hash covers its module and all that this imports by relative paths, not
 * packages. TypeScript is compiled to `.dtss/<hash>.mjs` beside its source, so that it finds the same packages; where
 * the folder cannot be written, to the cache folder.
 */
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs'
import { basename, extname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from 'esbuild'
import { LIMITS } from '../../base/limits.ts'
import type { HandlerEntry } from '../executors/js/protocol.ts'
import { handlersOf } from './exports.ts'

const MODULE = /^[^._][^/]*\.(ts|mts|js|mjs|cjs)$/
const NOT_A_MODULE = /\.(d|test|spec)\.[a-z]+$/
/** What a compiled module calls the place of its source; its own place means nothing to its author. */
const SOURCE_URL = '__dtssSourceUrl'
const HASH_DIGITS = 32

/** What a folder offers. */
export interface Discovery {
  readonly handlers: readonly HandlerEntry[]
  readonly problems: readonly { readonly file: string; readonly message: string }[]
}

/** The handlers of a folder in order of their files' names; a module that cannot be loaded is a problem, not an error. */
export async function discoverHandlers(folder: string, cacheFolder: string): Promise<Discovery> {
  const handlers = new Map<string, HandlerEntry>()
  const problems: { file: string; message: string }[] = []
  for (const file of moduleFiles(folder)) {
    try {
      for (const entry of await handlersOfFile(folder, file, cacheFolder)) {
        if (handlers.has(entry.name)) problems.push({ file, message: `a second handler "${entry.name}"` })
        else handlers.set(entry.name, entry)
      }
    } catch (error) {
      problems.push({ file, message: error instanceof Error ? error.message : String(error) })
    }
  }
  return { handlers: [...handlers.values()], problems }
}

function moduleFiles(folder: string): string[] {
  const names = readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isFile() || entry.isSymbolicLink())
    .map((entry) => entry.name)
  return names.filter((name) => MODULE.test(name) && !NOT_A_MODULE.test(name)).sort()
}

async function handlersOfFile(folder: string, file: string, cacheFolder: string): Promise<HandlerEntry[]> {
  const code = await bundle(folder, file)
  const hash = createHash('sha256').update(code).digest('hex').slice(0, HASH_DIGITS)
  const source = pathToFileURL(join(folder, file)).href
  const typescript = /\.m?ts$/.test(file)
  const url = typescript ? writeCompiled(folder, cacheFolder, hash, source, code) : `${source}?${hash}`
  const exports = (await import(url)) as Readonly<Record<string, unknown>>
  const found = handlersOf(basename(file, extname(file)), exports)
  const tooLong = found.find(({ name }) => name.length > LIMITS.nameLength)
  if (tooLong !== undefined) throw new Error(`the handler name "${tooLong.name}" is too long`)
  return found.map(({ name, exportName }) => ({ name, hash, url, exportName }))
}

async function bundle(folder: string, file: string): Promise<string> {
  const { outputFiles } = await build({
    absWorkingDir: folder,
    entryPoints: [`./${file}`],
    bundle: true,
    write: false,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    logLevel: 'silent',
    define: { 'import.meta.url': SOURCE_URL }
  })
  return outputFiles.map(({ text }) => text).join('')
}

function writeCompiled(
  folder: string,
  cacheFolder: string,
  hash: string,
  source: string,
  code: string
): string {
  const text = `const ${SOURCE_URL} = ${JSON.stringify(source)};\n${code}`
  try {
    return writeOnce(join(folder, '.dtss'), hash, text)
  } catch {
    return writeOnce(cacheFolder, hash, text)
  }
}

function writeOnce(folder: string, hash: string, text: string): string {
  const path = join(folder, `${hash}.mjs`)
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, '.gitignore'), '*\n')
    // Several nodes may share the folder, so nobody sees half a file.
    writeFileSync(`${path}.${process.pid}`, text)
    renameSync(`${path}.${process.pid}`, path)
  }
  return pathToFileURL(path).href
}
