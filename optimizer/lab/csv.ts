/** Comma-separated tables with a header line and no quoting, as the traces use them. */
import { checkTime, malformed } from './malformed.ts'
import type { Fail } from './malformed.ts'

/** One row, read by column name. */
export interface CsvRow {
  text(column: string): string
  /** Throws an `AppError` naming file, line and column unless it is a finite number. */
  number(column: string): number
  /** The same, from 0. */
  amount(column: string): number
  /** A time from 0 to a hundred years, in seconds. */
  seconds(column: string): number
  /** Such a time, or undefined for an empty cell. */
  optionalSeconds(column: string): number | undefined
  /** From 1, the header's line counted. */
  readonly line: number
  /** The error for what is wrong with this row. */
  readonly fail: Fail
}

/** All rows of a table. Throws for a row whose cells are not as many as the header's. */
export function parseCsv(text: string, file: string): CsvRow[] {
  const lines = text.split(/\r?\n/)
  const header = (lines[0] ?? '').split(',')
  const rows: CsvRow[] = []
  lines.slice(1).forEach((content, index) => {
    if (content === '') return
    const line = index + 2
    const cells = content.split(',')
    if (cells.length !== header.length) {
      throw malformed({ file, line, field: 'count', got: cells.length, expected: `${header.length} cells` })
    }
    rows.push(row(header, cells, file, line))
  })
  return rows
}

function row(header: readonly string[], cells: readonly string[], file: string, line: number): CsvRow {
  const text = (column: string): string => {
    const at = header.indexOf(column)
    if (at < 0) {
      throw malformed({ file, line: 1, field: column, got: header.join(), expected: 'a column of this name' })
    }
    return cells[at] ?? ''
  }
  const number = (column: string): number => {
    const value = Number(text(column))
    if (text(column) === '' || !Number.isFinite(value)) {
      throw malformed({ file, line, field: column, got: text(column), expected: 'a number' })
    }
    return value
  }
  const fail: Fail = (field, got, expected) => malformed({ file, line, field, got, expected })
  const seconds = (column: string): number => checkTime(number(column), column, 1, fail)
  const amount = (column: string): number => {
    const value = number(column)
    if (value < 0) throw fail(column, value, 'a number ≥ 0')
    return value
  }
  return {
    text,
    number,
    amount,
    line,
    fail,
    seconds,
    optionalSeconds: (column) => (text(column) === '' ? undefined : seconds(column))
  }
}
