/** Runs script files and compares what they print with what they expect, byte for byte. */
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { createTwoFilesPatch } from 'diff'
import { runCommand } from './commands.ts'
import { createConfChangeRunner } from './confchange.ts'
import type { Directive } from './datadriven.ts'
import { parseScript } from './datadriven.ts'
import { InteractionEnv, runInteraction } from './interaction.ts'
import { runQuorum } from './quorum.ts'

/** The families of scripts, which are the folders they stand in. */
const FAMILIES = ['interaction', 'quorum', 'confchange'] as const
/** One family. */
export type Family = (typeof FAMILIES)[number]

/** How one file went. */
export interface FileResult {
  /** `family/file.txt`. */
  readonly name: string
  readonly directives: number
  readonly passed: boolean
  /** A unified diff from the file to what was printed; empty when it passed. */
  readonly diff: string
}

/** Options of a run. */
export interface RunOptions {
  /** Whether log lines are left out of the comparison, to tell a wrong log line from wrong behaviour. */
  readonly normalise?: boolean
}

/** The scripts below `root/interaction`, `root/quorum` and `root/confchange`, by name. Throws when there is no such folder. */
export function findScripts(root: string): readonly string[] {
  if (!statSync(root).isDirectory()) throw new Error(`${root} is not a folder`)
  const present = new Set(readdirSync(root))
  const scripts = FAMILIES.filter((family) => present.has(family)).flatMap((family) =>
    readdirSync(join(root, family), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.txt'))
      .sort()
      .map((name) => join(root, family, name))
  )
  if (scripts.length === 0) throw new Error(`${root} holds no scripts in ${FAMILIES.join('/, ')}/`)
  return scripts
}

/** Runs one file, whose folder names its family. */
export function runFile(path: string, options: RunOptions = {}): FileResult {
  const folders = dirname(path).split('/').reverse()
  const family =
    folders.map((folder) => FAMILIES.find((known) => known === folder)).find(isPresent) ?? 'interaction'
  const name = `${family}/${basename(path)}`
  return runScript(name, family, readFileSync(path, 'utf8'), options)
}

/** Runs a script that is given as text. */
export function runScript(name: string, family: Family, text: string, options: RunOptions = {}): FileResult {
  const directives = parseScript(text)
  const run = createRunner(family)
  const actualLines = text.split('\n')
  let passed = true
  let shift = 0
  for (const directive of directives) {
    const { output, failed } = attempt(run, directive)
    if (same(output, directive.expected, options.normalise ?? false)) continue
    passed = false
    const [from, to] = directive.expectedLines
    const lines = output.slice(0, -1).split('\n')
    actualLines.splice(from + shift, to - from, ...lines)
    shift += lines.length - (to - from)
    if (failed) break
  }
  const diff = passed
    ? ''
    : createTwoFilesPatch(name, name, text, actualLines.join('\n'), 'expected', 'actual')
  return { name, directives: directives.length, passed, diff }
}

function isPresent(family: Family | undefined): family is Family {
  return family !== undefined
}

function createRunner(family: Family): (directive: Directive) => string {
  switch (family) {
    case 'quorum':
      return runQuorum
    case 'confchange':
      return createConfChangeRunner()
    case 'interaction': {
      const env = new InteractionEnv()
      return (directive) => runInteraction(env, directive, runCommand)
    }
  }
}

/** Output with its final line feed. What is thrown becomes the output, so that the diff shows where. */
function attempt(
  run: (directive: Directive) => string,
  directive: Directive
): { output: string; failed: boolean } {
  try {
    const output = run(directive)
    return { output: output.endsWith('\n') ? output : `${output}\n`, failed: false }
  } catch (error) {
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    return { output: `stopped by ${message}\n`, failed: true }
  }
}

function same(actual: string, expected: string, normalise: boolean): boolean {
  return normalise ? withoutLogLines(actual) === withoutLogLines(expected) : actual === expected
}

function withoutLogLines(text: string): string {
  const lines = text.split('\n').filter((line) => !/^ *(DEBUG|INFO|WARN|ERROR|FATAL) /.test(line))
  const rest = lines.join('\n')
  return rest === '' ? 'ok\n' : rest
}
