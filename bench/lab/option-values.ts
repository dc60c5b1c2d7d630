/** Values of command-line options, with errors that name the option, what it got and what was expected. */
import { parseArgs, type ParseArgsConfig } from 'node:util'
import { AppError } from '../../base/errors.ts'

/** Largest load that a trace can be asked for. */
const LARGEST_LOAD = 2

type Options = NonNullable<ParseArgsConfig['options']>
export type Values<T extends Options> = ReturnType<typeof parseArgs<{ options: T }>>['values']

/** The options given, and nothing else. Throws INVALID_REQUEST. */
export function parseOptions<T extends Options>(argv: readonly string[], options: T): Values<T> {
  try {
    return parseArgs({ args: [...argv], options, strict: true, allowPositionals: false }).values
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    throw new AppError('INVALID_REQUEST', `${message}; see --help`, { cause: error })
  }
}

/** A number that `isGood`; undefined when the option was not given. Throws INVALID_REQUEST. */
export function numberOption(
  option: string,
  got: string | undefined,
  expected: string,
  isGood: (value: number) => boolean
): number | undefined {
  if (got === undefined) return undefined
  const value = Number(got)
  if (got.trim() === '' || !Number.isFinite(value) || !isGood(value)) throw wrongOption(option, got, expected)
  return value
}

/** A whole number of at least `least`. */
export function wholeOption(option: string, got: string | undefined, least: number): number | undefined {
  const isGood = (value: number): boolean => Number.isSafeInteger(value) && value >= least
  return numberOption(option, got, `a whole number ≥ ${least}`, isGood)
}

/** A load in (0, 2]. */
export function loadOption(got: string | undefined): number | undefined {
  const isGood = (load: number): boolean => load > 0 && load <= LARGEST_LOAD
  return numberOption('load', got, `a number in (0, ${LARGEST_LOAD}]`, isGood)
}

export function wrongOption(option: string, got: string | undefined, expected: string): AppError {
  return new AppError('INVALID_REQUEST', `--${option}: got ${got ?? 'nothing'}, expected ${expected}`, {
    details: { option, got, expected }
  })
}
