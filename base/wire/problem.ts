/** Errors on the wire: problem+json (RFC 9457), with the stable code and what a client needs to react. */
import { Type } from 'typebox'
import type { Static } from 'typebox'
import type { ErrorCode } from '../errors.ts'

export const PROBLEM_MEDIA_TYPE = 'application/problem+json'

/** Names the error in `docs/errors.md`; stable. */
export function problemType(code: ErrorCode): string {
  return `urn:dtss:error:${code}`
}

/** `details` members vary by code (RFC 9457 extension members stand at the top level). */
export const ProblemSchema = Type.Object(
  {
    type: Type.String({ description: 'urn:dtss:error:<code>' }),
    title: Type.String({ description: 'the same for every occurrence of the code' }),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    detail: Type.String({ description: 'what was got and what was expected, this time' }),
    code: Type.String({ description: 'stable; docs/errors.md lists all' }),
    retryable: Type.Boolean({ description: 'whether the same request may succeed later without a change' }),
    instance: Type.String({ description: 'urn:dtss:request:<id>, as the log of the node names it' }),
    field: Type.Optional(Type.String({ description: 'the path of the offending field' })),
    got: Type.Optional(Type.Unknown()),
    expected: Type.Optional(Type.String()),
    nearest: Type.Optional(Type.String({ description: 'the known name that is closest to the unknown one' }))
  },
  { $id: 'Problem', additionalProperties: true, description: 'An error (RFC 9457).' }
)
export type Problem = Static<typeof ProblemSchema>
