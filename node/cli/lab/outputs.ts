/**
 * The files that the lab writes. Where one cannot be written is found before the run that it is to tell of: a run may take
 * hours. Every failure is an INVALID_REQUEST that names the option, what it got and what was expected.
 *
 * Targets are tried, not asked about: permissions say nothing of `/proc`, of read-only mounts, or to root. Folders are made one by
 * one, since making them at once (`recursive`) never ends below `/proc` in Node 20.
 */
import {
  accessSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  realpathSync,
  rmSync,
  rmdirSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { AppError } from '../../../base/errors.ts'

/** What is written where, by option. */
export interface Outputs {
  readonly html?: string | undefined
  readonly svg?: string | undefined
  readonly save?: string | undefined
  readonly tasks?: string | undefined
}

const FILE = 'a file that can be written'
const FOLDER = 'a folder that can be written'

/** Throws unless all of them could be written now. Leaves everything as it was. */
export function checkOutputs({ html, svg, save, tasks }: Outputs): void {
  for (const [option, path] of [
    ['html', html],
    ['save', save],
    ['tasks', tasks]
  ] as const) {
    if (path !== undefined)
      attempt(option, path, FILE, () => {
        tryFile(path)
      })
  }
  if (svg !== undefined)
    attempt('svg', svg, FOLDER, () => {
      tryFolder(svg)
    })
}

/** Does something to the file that an option names. */
export function attemptOutput<T>(option: keyof Outputs, path: string, work: () => T): T {
  return attempt(option, path, FILE, work)
}

/** Writes the file that an option names. */
export function writeOutput(option: keyof Outputs, path: string, text: string): void {
  attempt(option, path, FILE, () => {
    writeFileSync(path, text)
  })
}

/** Writes files, by name and text, into the folder that an option names, and makes it when it is not there. */
export function writeOutputs(
  option: keyof Outputs,
  folder: string,
  files: readonly (readonly [name: string, text: string])[]
): void {
  attempt(option, folder, FOLDER, () => {
    makeFolder(folder, [])
    for (const [name, text] of files) writeFileSync(join(folder, name), text)
  })
}

function attempt<T>(option: keyof Outputs, got: string, expected: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new AppError(
      'INVALID_REQUEST',
      `--${option}: got ${JSON.stringify(got)} (${reason}), expected ${expected}`,
      { cause, details: { option, got, expected } }
    )
  }
}

function tryFile(path: string): void {
  const before = statSync(path, { throwIfNoEntry: false })
  // To open a pipe would wait for its reader.
  if (before?.isFile() === false && !before.isDirectory()) {
    accessSync(path, constants.W_OK)
    return
  }
  closeSync(openSync(path, 'a'))
  // By its real path: a link that led nowhere stays.
  if (before === undefined) rmSync(realpathSync(path))
}

function tryFolder(path: string): void {
  const made: string[] = []
  try {
    makeFolder(path, made)
    rmdirSync(mkdtempSync(join(path, '.dtss-')))
  } finally {
    for (const folder of made.reverse()) rmdirSync(folder)
  }
}

/** Makes the folder and those above it that are missing, and notes each in `made`. */
function makeFolder(path: string, made: string[]): void {
  const missing: string[] = []
  // The root is always there.
  for (let at = resolve(path); statSync(at, { throwIfNoEntry: false }) === undefined; at = dirname(at)) {
    missing.unshift(at)
  }
  for (const folder of missing) {
    mkdirSync(folder)
    made.push(folder)
  }
}
