/** What the client throws: one class, whose `code` is stable. */
import type { ErrorCode } from '../base/errors.ts'
import type { Problem } from '../base/wire/problem.ts'

/** The client's own codes, with what they mean: no reply brings them. docs/errors.md is checked against this table. */
export const CLIENT_ERRORS = {
  UNREACHABLE: 'No node answered; a request that may be repeated was sent to each. Worth another try later',
  UNEXPECTED_REPLY: 'What answered was not DTSS. Worth another try later when its status was 500 or above'
} as const

/** The codes of DTSS itself, and the client's own. */
export type DtssErrorCode = ErrorCode | keyof typeof CLIENT_ERRORS

/** A request that failed. An aborted one throws its signal's reason instead. */
export class DtssError extends Error {
  override readonly name = 'DtssError'
  readonly code: DtssErrorCode
  /** The HTTP status; 0 when there was no reply. */
  readonly status: number
  /** Whether the same call may succeed later without a change. */
  readonly retryable: boolean
  /** The problem as the node sent it, with `field`, `got` and `expected` where they apply. */
  readonly details: Readonly<Partial<Problem>>

  constructor(
    message: string,
    about: {
      code: DtssErrorCode
      status: number
      retryable: boolean
      details?: Readonly<Partial<Problem>>
      cause?: unknown
    }
  ) {
    super(message, about.cause === undefined ? undefined : { cause: about.cause })
    this.code = about.code
    this.status = about.status
    this.retryable = about.retryable
    this.details = about.details ?? {}
  }
}

/** The error that a problem describes. */
export function errorOfProblem(problem: Problem): DtssError {
  const { code, status, retryable, detail } = problem
  return new DtssError(detail, { code: code as ErrorCode, status, retryable, details: problem })
}

/** The error of a reply that was not a success. */
export async function errorOfReply(response: Response): Promise<DtssError> {
  const text = await response.text()
  const problem = problemIn(text)
  if (problem !== undefined) return errorOfProblem(problem)
  return new DtssError(`${response.url}: got status ${response.status} without a DTSS error in its body`, {
    code: 'UNEXPECTED_REPLY',
    status: response.status,
    retryable: response.status >= 500
  })
}

function problemIn(text: string): Problem | undefined {
  try {
    const value = JSON.parse(text) as Partial<Problem> | null
    return typeof value?.code === 'string' && typeof value.detail === 'string'
      ? (value as Problem)
      : undefined
  } catch {
    return undefined
  }
}
