/**
 * Values of the lab's options, for `dtss lab` and the benchmarks alike: errors name the option, what it got and what was
 * expected.
 */
import { AppError } from '../../../base/errors.ts'

/** Largest load that a trace can be asked for. */
const LARGEST_LOAD = 2
/** More repetitions than anybody waits for. */
const MOST_SEEDS = 10_000

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

/** A whole number of at least `least`, and at most `most` where there is a bound. */
export function wholeOption(
  option: string,
  got: string | undefined,
  least: number,
  most = Infinity
): number | undefined {
  const isGood = (value: number): boolean => Number.isSafeInteger(value) && value >= least && value <= most
  const range = most === Infinity ? `≥ ${least}` : `from ${least} to ${most}`
  return numberOption(option, got, `a whole number ${range}`, isGood)
}

/** A load in (0, 2]. */
export function loadOption(got: string | undefined): number | undefined {
  const isGood = (load: number): boolean => load > 0 && load <= LARGEST_LOAD
  return numberOption('load', got, `a number in (0, ${LARGEST_LOAD}]`, isGood)
}

/** How often a trace is repeated: at least once. */
export function seedsOption(got: string | undefined): number | undefined {
  return wholeOption('seeds', got, 1, MOST_SEEDS)
}

/** Names of policies with commas between. */
export function policiesOption(got: string | undefined): string[] | undefined {
  const names = got?.split(',').map((name) => name.trim())
  if (names?.includes('') === true) throw wrongOption('policies', got, 'names separated by commas')
  return names
}

/** An INVALID_REQUEST that names the option; `got` is undefined when the option is missing. */
export function wrongOption(option: string, got: string | undefined, expected: string): AppError {
  const shown = got === undefined ? 'nothing' : JSON.stringify(got)
  return new AppError('INVALID_REQUEST', `--${option}: got ${shown}, expected ${expected}`, {
    details: { option, got, expected }
  })
}
