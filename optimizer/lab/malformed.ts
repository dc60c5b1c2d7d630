/** The error for a trace that cannot be read: where, which field, what was got and what was expected. */
import { AppError } from '../../base/errors.ts'

export interface Malformation {
  readonly file: string
  /** From 1. */
  readonly line: number
  readonly field: string
  readonly got: unknown
  readonly expected: string
}

/** Raises what is wrong with a field of the line at hand. */
export type Fail = (field: string, got: unknown, expected: string) => Error

/** No time of a trace is longer, since beyond it simulations neither end nor mean anything: a hundred years. */
export const LONGEST_S = 100 * 365.25 * 86_400
/** How it is called in errors. */
const CENTURY = '100 years'
const SHOWN = 80

/** An `INVALID_REQUEST` that names file, line, field, got and expected. */
export function malformed(at: Malformation): AppError {
  return new AppError(
    'INVALID_REQUEST',
    `${at.file}:${at.line}: field ${at.field}: got ${shown(at.got)}, expected ${at.expected}`,
    { details: { ...at } }
  )
}

/** The error for a file that holds nothing to run; `got` is what it holds instead. */
export function empty(file: string, expected: string, got?: string): AppError {
  return malformed({ file, line: 1, field: 'line', got, expected: `at least one ${expected}` })
}

/** `value` when it is a time from 0 to a hundred years; `unit` is how many of its units a second has. */
export function checkTime(value: unknown, field: string, unit: 1 | 1000, fail: Fail): number {
  if (typeof value === 'number' && value >= 0 && value <= LONGEST_S * unit) return value
  throw fail(field, value, `${unit === 1 ? 'seconds' : 'milliseconds'} ≥ 0, up to ${CENTURY}`)
}

function shown(got: unknown): string {
  if (got === undefined) return 'nothing'
  // JSON has no word for what is not finite.
  if (typeof got === 'number') return String(got)
  if (typeof got === 'string') return JSON.stringify(got.slice(0, SHOWN))
  const text = JSON.stringify(got)
  return text.length <= SHOWN ? text : `${text.slice(0, SHOWN)}…`
}
