/** Argument values as numbers and booleans, as strictly as the scripts' own interpreter reads them. */
import type { Argument } from './datadriven.ts'
import { ScriptError } from './datadriven.ts'

const TRUE = new Set(['1', 't', 'T', 'TRUE', 'true', 'True'])
const FALSE = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False'])

/** A non-negative decimal integer. */
export function scanNumber(text: string): number {
  const value = Number(text)
  if (!/^[0-9]+$/.test(text) || !Number.isSafeInteger(value)) {
    throw new ScriptError(`got "${text}", expected a number`)
  }
  return value
}

export function scanBoolean(text: string): boolean {
  if (TRUE.has(text)) return true
  if (FALSE.has(text)) return false
  throw new ScriptError(`got "${text}", expected a boolean`)
}

/** The number that stands first on the command line: a node's id or a count. */
export function firstNumber(args: readonly Argument[]): number {
  const first = args[0]
  if (first === undefined) throw new ScriptError('an argument is missing')
  return scanNumber(first.key)
}

/** The bare arguments as node ids. */
export function bareIds(args: readonly Argument[]): readonly number[] {
  return args.filter((arg) => arg.values.length === 0).map((arg) => scanNumber(arg.key))
}

/** The one value of a named argument. */
export function namedValue(args: readonly Argument[], key: string): string {
  const values = args.find((arg) => arg.key === key)?.values
  const value = values?.[0]
  if (value === undefined || values?.length !== 1) throw new ScriptError(`missing argument: ${key}`)
  return value
}
