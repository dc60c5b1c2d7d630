/** How an error travels in a reply: a status byte, then JSON with code and message. */
import { AppError, ERRORS, toAppError } from '../../base/errors.ts'
import type { ErrorCode } from '../../base/errors.ts'

const OK = 0
const FAILED = 1

export function encodeSuccess(body: Uint8Array = new Uint8Array()): Uint8Array {
  const reply = Buffer.allocUnsafe(1 + body.byteLength)
  reply[0] = OK
  reply.set(body, 1)
  return reply
}

export function encodeFailure(error: unknown): Uint8Array {
  const { code, message, details } = toAppError(error)
  return Buffer.concat([
    Uint8Array.of(FAILED),
    new TextEncoder().encode(JSON.stringify({ code, message, details }))
  ])
}

/** The body of a reply. Throws the `AppError` that it carries; one with a code unknown here becomes `INTERNAL`. */
export function decodeReply(reply: Uint8Array): Uint8Array {
  if (reply[0] === OK) return reply.subarray(1)
  const text = new TextDecoder().decode(reply.subarray(1))
  let value: { readonly code?: unknown; readonly message?: unknown; readonly details?: unknown }
  try {
    value = JSON.parse(text) as typeof value
  } catch {
    throw new AppError('INTERNAL', 'the peer sent a reply that cannot be read')
  }
  const message = typeof value.message === 'string' ? value.message : 'the peer gave no reason'
  const details =
    typeof value.details === 'object' && value.details !== null
      ? (value.details as Record<string, unknown>)
      : {}
  throw new AppError(isErrorCode(value.code) ? value.code : 'INTERNAL', message, { details })
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === 'string' && Object.hasOwn(ERRORS, value)
}
