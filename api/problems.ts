/**
 * Every failure as problem+json (RFC 9457). A reply never carries a stack; what DTSS did not foresee is answered as
 * INTERNAL under the request's id, and logged under the same.
 */
import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { AppError, ERRORS, toAppError } from '../base/errors.ts'
import { LIMITS } from '../base/limits.ts'
import { PROBLEM_MEDIA_TYPE, problemType } from '../base/wire/problem.ts'
import type { Problem } from '../base/wire/problem.ts'
import type { ServerLog } from './context.ts'
import type { RouteTable } from './route-table.ts'
import { shown } from './validation.ts'

/** The body that answers a request which failed with `error`. */
export function problemOf(error: AppError, requestId: string): Problem {
  const internal = error.code === 'INTERNAL'
  return {
    // Members of the error's own details never override the standard ones below.
    ...(internal ? {} : error.details),
    type: problemType(error.code),
    title: ERRORS[error.code][2],
    status: error.status,
    detail: internal ? `The node's log names the cause under request ${requestId}` : error.message,
    code: error.code,
    retryable: error.retryable,
    instance: `urn:dtss:request:${requestId}`
  }
}

/** Answers a request with a problem. */
export function sendProblem(reply: FastifyReply, error: AppError, requestId: string): FastifyReply {
  if (error.status === 429 || error.status === 503) {
    const { retryAfterMs } = error.details
    reply.header(
      'retry-after',
      Math.max(1, Math.ceil((typeof retryAfterMs === 'number' ? retryAfterMs : 0) / 1000))
    )
  }
  return reply
    .code(error.status)
    .type(PROBLEM_MEDIA_TYPE)
    .send(JSON.stringify(problemOf(error, requestId)))
}

/** A whole reply, for a request that was not HTTP enough to have one. */
export function rawProblem(error: AppError, requestId: string): string {
  const body = JSON.stringify(problemOf(error, requestId))
  return [
    `HTTP/1.1 ${error.status} ${STATUS_CODES[error.status] ?? ''}`,
    `content-type: ${PROBLEM_MEDIA_TYPE}`,
    `content-length: ${Buffer.byteLength(body)}`,
    'connection: close',
    '',
    body
  ].join('\r\n')
}

/** Makes the server answer every failure, unknown path and wrong method as a problem. */
export function answerProblems(app: FastifyInstance, log: ServerLog, routes: RouteTable): void {
  app.setErrorHandler((thrown: FastifyError, request, reply) => {
    const error = translate(thrown, request)
    keepConnection(error, request, reply)
    if (error.code === 'INTERNAL') {
      log.error(
        { requestId: request.id, method: request.method, route: request.routeOptions.url, error: thrown },
        'request failed'
      )
    }
    return sendProblem(reply, error, request.id)
  })
  app.setNotFoundHandler((request, reply) => {
    const path = request.url.split('?', 1)[0] ?? ''
    const allowed = routes.methodsOf(path)
    if (allowed.length === 0) {
      return sendProblem(reply, new AppError('NOT_FOUND', `there is nothing at ${shown(path)}`), request.id)
    }
    const expected = allowed.join(', ')
    reply.header('allow', expected)
    const detail = `${path}: got ${request.method}, expected ${expected}`
    return sendProblem(
      reply,
      new AppError('METHOD_NOT_ALLOWED', detail, { details: { got: request.method, expected } }),
      request.id
    )
  })
}

/**
 * The framework closes the connection of a body that it did not accept. A client that is still sending then sees a reset
 * instead of the answer, so a body of bearable declared length is read to its end and dropped.
 */
function keepConnection(error: AppError, request: FastifyRequest, reply: FastifyReply): void {
  const declared = Number(request.headers['content-length'])
  if (
    error.code === 'INVALID_JSON' ||
    (error.code === 'BODY_TOO_LARGE' && declared <= 8 * LIMITS.requestBodyBytes)
  ) {
    reply.removeHeader('connection')
  }
}

/** What the framework calls its failures, in our codes. */
export function translate(
  thrown: FastifyError | AppError,
  request: Pick<FastifyRequest, 'headers'>
): AppError {
  if (thrown instanceof AppError) return thrown
  switch (thrown.code) {
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE': {
      const got = request.headers['content-type'] ?? 'none'
      return new AppError('UNSUPPORTED_MEDIA_TYPE', `content-type: got ${got}, expected application/json`, {
        cause: thrown,
        details: { field: 'content-type', got, expected: 'application/json' }
      })
    }
    case 'FST_ERR_CTP_BODY_TOO_LARGE': {
      const got = request.headers['content-length'] ?? 'more'
      return new AppError(
        'BODY_TOO_LARGE',
        `body: got ${got} bytes, expected at most ${LIMITS.requestBodyBytes}`,
        {
          cause: thrown,
          details: { field: 'body', expected: `at most ${LIMITS.requestBodyBytes} bytes` }
        }
      )
    }
    default:
      if (typeof thrown.statusCode === 'number' && thrown.statusCode >= 400 && thrown.statusCode < 500) {
        return new AppError('INVALID_REQUEST', thrown.message, { cause: thrown })
      }
      return toAppError(thrown)
  }
}
