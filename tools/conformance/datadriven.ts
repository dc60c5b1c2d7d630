/**
 * The file format of data-driven tests: a command line with arguments, optional input lines, `----`, and the expected
 * output up to the next blank line (or, after a second `----`, up to the next pair of them). Lines that begin with `#`
 * are comments between directives.
 */

/** `key`, `key=value` or `key=(value, value)`. A bare key has no values. */
export interface Argument {
  readonly key: string
  readonly values: readonly string[]
}

/** One command of a file with what it should print. */
export interface Directive {
  /** 1-based line of the command. */
  readonly line: number
  readonly command: string
  readonly args: readonly Argument[]
  readonly input: string
  /** The expected output, each line ended by a line feed. */
  readonly expected: string
  /** 0-based, half-open range of the lines that hold the expected output. */
  readonly expectedLines: readonly [from: number, to: number]
}

/** A script that is not well-formed, or that asks for something which the language does not have. */
export class ScriptError extends Error {
  override readonly name = 'ScriptError'
}

const SEPARATOR = '----'

/** All directives of a file, in order. */
export function parseScript(text: string): readonly Directive[] {
  const lines = text.split('\n')
  // A final line feed ends the last line; it does not begin another.
  if (lines.at(-1) === '') lines.pop()
  const directives: Directive[] = []
  let at = 0
  while (at < lines.length) {
    const line = (lines[at] ?? '').trim()
    if (line === '' || line.startsWith('#')) {
      at++
      continue
    }
    const { directive, next } = parseDirective(lines, at)
    directives.push(directive)
    at = next
  }
  return directives
}

/** A command line as command and arguments. */
export function parseCommandLine(line: string): { command: string; args: readonly Argument[] } {
  const [command, ...words] = splitWords(line)
  if (command === undefined) throw new ScriptError('a command line is empty')
  return { command, args: words.map(parseArgument) }
}

function parseDirective(lines: readonly string[], start: number): { directive: Directive; next: number } {
  let at = start
  let commandLine = (lines[at++] ?? '').trim()
  while (commandLine.endsWith('\\') && at < lines.length) {
    commandLine = `${commandLine.slice(0, -1).trim()} ${(lines[at++] ?? '').trim()}`
  }
  const input: string[] = []
  while (at < lines.length && lines[at] !== SEPARATOR) input.push(lines[at++] ?? '')
  if (at >= lines.length) throw new ScriptError(`line ${start + 1}: no ${SEPARATOR} after "${commandLine}"`)
  at++

  const double = lines[at] === SEPARATOR
  const from = double ? ++at : at
  while (at < lines.length && !endsExpected(lines, at, double)) at++
  const to = at
  const { command, args } = parseCommandLine(commandLine)
  const expected = lines
    .slice(from, to)
    .map((line) => `${line}\n`)
    .join('')
  const directive: Directive = {
    line: start + 1,
    command,
    args,
    input: input.join('\n').trim(),
    expected,
    expectedLines: [from, to]
  }
  return { directive, next: double ? to + 2 : to }
}

function endsExpected(lines: readonly string[], at: number, double: boolean): boolean {
  if (double) return lines[at] === SEPARATOR && lines[at + 1] === SEPARATOR
  return lines[at]?.trim() === ''
}

/** Splits at spaces that are not within parentheses. */
function splitWords(line: string): string[] {
  const words: string[] = []
  let word = ''
  let depth = 0
  for (const char of line) {
    if (char === '(') depth++
    if (char === ')') depth--
    if (char !== ' ' || depth > 0) {
      word += char
    } else if (word !== '') {
      words.push(word)
      word = ''
    }
  }
  if (depth !== 0) throw new ScriptError(`unbalanced parentheses in "${line}"`)
  return word === '' ? words : [...words, word]
}

function parseArgument(word: string): Argument {
  const equals = word.indexOf('=')
  if (equals < 0) return { key: word, values: [] }
  const key = word.slice(0, equals)
  const value = word.slice(equals + 1)
  if (value.length <= 2 || !value.startsWith('(') || !value.endsWith(')')) return { key, values: [value] }
  const values = value.slice(1, -1).split(',')
  return { key, values: values.map((item) => item.trim()) }
}
