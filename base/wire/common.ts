/**
 * Building blocks of the HTTP schemas, shared by server, client and command line.
 *
 * One rule for time: a field that ends in `Ms` is a length of time in milliseconds and one that ends in `At` is
 * milliseconds since the Unix epoch. Requests may also write a length as text, `"30s"`.
 */
import { Type } from 'typebox'
import type { Static, TObject, TSchema, TUnsafe } from 'typebox'
import { LIMITS } from '../limits.ts'

/** Text without control characters, lone surrogates, or space at either end: names, tenants, handlers, labels. */
const NAME_PATTERN =
  '^[^\\u0000-\\u0020\\u007f\\ud800-\\udfff]([^\\u0000-\\u001f\\u007f\\ud800-\\udfff]*[^\\u0000-\\u0020\\u007f\\ud800-\\udfff])?$'
const DURATION_PATTERN = '^[0-9]{1,12}(\\.[0-9]{1,3})?(ms|s|m|h|d)$'

/** A name: 1 to LIMITS.nameLength UTF-16 units. */
export function nameSchema(what: string): ReturnType<typeof Type.String> {
  return Type.String({
    minLength: 1,
    maxLength: LIMITS.nameLength,
    pattern: NAME_PATTERN,
    description: `${what}: 1 to ${LIMITS.nameLength} characters without control characters or outer space`
  })
}

/** A length of time, `0` to LIMITS.taskDurationMs: integer milliseconds, or text such as `"250ms"`, `"1.5h"`. */
export const DurationSchema = Type.Union(
  [Type.Integer({ minimum: 0, maximum: LIMITS.taskDurationMs }), Type.String({ pattern: DURATION_PATTERN })],
  {
    description: `a length of time: integer milliseconds from 0 to ${LIMITS.taskDurationMs}, or text such as "250ms", "30s", "1.5h", "7d"`
  }
)
export type Duration = Static<typeof DurationSchema>

/** Milliseconds since the Unix epoch. */
export const TimestampSchema = Type.Integer({ minimum: 0, description: 'milliseconds since the Unix epoch' })
const DATE_TIME_PATTERN =
  '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}(\\.[0-9]{1,9})?)?(Z|[+-][0-9]{2}:[0-9]{2})$'

/** A point of time in a request: milliseconds since the Unix epoch, or ISO 8601 text with an offset. */
export const MomentInputSchema = Type.Union(
  [Type.Integer({ minimum: 0 }), Type.String({ pattern: DATE_TIME_PATTERN })],
  {
    description:
      'a point of time: milliseconds since the Unix epoch, or text such as "2027-01-31T18:00:00Z" or "2027-01-31T18:00+01:00"'
  }
)
/** Milliseconds. */
export const MillisecondsSchema = Type.Integer({ minimum: 0, description: 'milliseconds' })
/** A count, an index, a term: a safe integer ≥ 0. */
export const CountSchema = Type.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER })
/** A node's number. */
export const NodeIdSchema = Type.Integer({
  minimum: 1,
  maximum: Number.MAX_SAFE_INTEGER,
  description: 'a node number'
})

const LIVE_STATUSES = ['pending', 'ready', 'placed', 'running', 'stopping'] as const
const TERMINAL_STATUSES = ['succeeded', 'failed', 'cancelled', 'skipped'] as const
export const TASK_STATUSES = [...LIVE_STATUSES, ...TERMINAL_STATUSES] as const
export const TaskStatusSchema = Type.Enum(TASK_STATUSES, {
  type: 'string',
  description: TASK_STATUSES.join(' | ')
})
export type WireTaskStatus = Static<typeof TaskStatusSchema>

/** Whether a task of this status has ended for good. */
export function isTerminal(status: WireTaskStatus): boolean {
  return (TERMINAL_STATUSES as readonly string[]).includes(status)
}

export const ResourcesSchema = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$' }),
  Type.Integer({
    minimum: 0,
    maximum: LIMITS.resourceAmount,
    description: `an integer from 0 to ${LIMITS.resourceAmount}`
  }),
  {
    additionalProperties: false,
    maxProperties: LIMITS.labels,
    description:
      'amounts by resource name, as integers ≥ 0: cpu in thousandths of a core, memory in bytes, any further name as you like'
  }
)

export const LabelsSchema = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$' }),
  Type.String({
    maxLength: LIMITS.nameLength,
    pattern: '^[^\\u0000-\\u001f\\u007f\\ud800-\\udfff]*$',
    description: `at most ${LIMITS.nameLength} characters without control characters`
  }),
  {
    additionalProperties: false,
    maxProperties: LIMITS.labels,
    description: `label values by name, at most ${LIMITS.labels} of them`
  }
)

/** An object that takes no other property than those named. */
export function closed<P extends Record<string, TSchema>>(
  properties: P,
  options: { $id?: string; description?: string } = {}
): TObject<P> {
  return Type.Object(properties, { additionalProperties: false, ...options })
}

/**
 * A reference to a shared schema, by its `$id`: the served document names each shape once, and the serialiser
 * resolves it among the schemas that the server registered.
 */
export function reference<S extends TSchema & { $id?: string }>(schema: S): TUnsafe<Static<S>> {
  return Type.Unsafe<Static<S>>({ $ref: `${schema.$id ?? ''}#` })
}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** The milliseconds of a duration in either form, rounded to whole ones; undefined when the text is not a duration. */
export function parseDuration(value: number | string): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value + 0 : undefined
  const match = /^([0-9]{1,12}(?:\.[0-9]{1,3})?)(ms|s|m|h|d)$/.exec(value)
  if (match === null) return undefined
  const total = Math.round(Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS])
  return Number.isSafeInteger(total) ? total : undefined
}
