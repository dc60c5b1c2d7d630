/**
 * Task output on the wire. A position is `<attempt>-<offset>`: the byte offset in that attempt's output, both streams
 * counted together in the order in which they were read. It is the SSE event id, so a follower resumes where it was.
 */
import { Type } from 'typebox'
import type { Static } from 'typebox'
import { CountSchema, TaskStatusSchema, TimestampSchema, closed, reference } from './common.ts'

export const LOG_POSITION_PATTERN = '^[1-9][0-9]{0,5}-[0-9]{1,15}$'

/** A point in a task's output: everything before it has been seen. */
export interface LogPosition {
  /** From 1. */
  readonly attempt: number
  /** Bytes from the start of the attempt's output. */
  readonly offset: number
}

export const LogChunkSchema = closed(
  {
    attempt: Type.Integer({ minimum: 1 }),
    offset: CountSchema,
    stream: Type.Enum(['stdout', 'stderr'], { type: 'string' }),
    at: Type.Optional(TimestampSchema),
    text: Type.Optional(Type.String({ description: 'the output, when its bytes are valid UTF-8' })),
    base64: Type.Optional(
      Type.String({ description: 'the output otherwise (binary, or cut within a character)' })
    )
  },
  { $id: 'LogChunk' }
)
export type WireLogChunk = Static<typeof LogChunkSchema>

export const LogPageSchema = closed(
  {
    id: Type.String(),
    status: TaskStatusSchema,
    chunks: Type.Array(reference(LogChunkSchema)),
    next: Type.String({ description: 'the position after the last chunk: pass it as `after` to read on' }),
    more: Type.Boolean({ description: 'true when there was more output at this moment than one page takes' })
  },
  { $id: 'LogPage' }
)
export type LogPage = Static<typeof LogPageSchema>

/** The text form of a position. */
export function formatLogPosition(position: LogPosition): string {
  return `${position.attempt}-${position.offset}`
}

/** The position that `text` names, or undefined when it is not of the form `<attempt>-<offset>`. */
export function parseLogPosition(text: string): LogPosition | undefined {
  const match = /^([1-9][0-9]{0,5})-([0-9]{1,15})$/.exec(text)
  if (match === null) return undefined
  return { attempt: Number(match[1]), offset: Number(match[2]) }
}
