/** Submitting: `POST /v1/tasks`, and `POST /tasks/submit` which means the same. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { AppError, toAppError } from '../../base/errors.ts'
import { formatTaskId, parseTaskId } from '../../base/ids.ts'
import { LIMITS } from '../../base/limits.ts'
import { durationMs } from '../../base/units.ts'
import { closed, reference } from '../../base/wire/common.ts'
import { HEADERS } from '../../base/wire/headers.ts'
import { SubmitReplySchema, TaskRequestSchema } from '../../base/wire/task-request.ts'
import type { SubmitReply } from '../../base/wire/task-request.ts'
import type { IdempotencyKey } from '../../scheduler/commands.ts'
import type { RouteContext } from '../context.ts'
import { fingerprint } from '../fingerprint.ts'
import type { SubmitReceipt } from '../ports.ts'
import { replies } from '../schemas.ts'
import { draftsOf } from '../submission.ts'
import { invalid } from '../validation.ts'

const schema = {
  tags: ['tasks'],
  summary: 'Submit one task or an array of them',
  description:
    'The reply comes when the submission is committed: it survives the loss of any minority of nodes. An array is ' +
    'accepted or refused whole; `needs` names its tasks by `name`. With an `Idempotency-Key`, repeating the same ' +
    'request submits nothing and answers with the ids of the first. With `?eta=true` the reply waits a moment, a tenth of a ' +
    'second at most, for when the work is expected to be done.',
  headers: Type.Object({
    [HEADERS.idempotencyKey]: Type.Optional(
      Type.String({ description: `1 to ${LIMITS.idempotencyKeyLength} printable ASCII characters` })
    )
  }),
  querystring: closed({
    eta: Type.Optional(Type.Boolean({ description: 'true: say when the work is expected to be done' }))
  }),
  body: Type.Union([
    reference(TaskRequestSchema),
    Type.Array(reference(TaskRequestSchema), { minItems: 1, maxItems: LIMITS.batchTasks })
  ]),
  response: replies(202, 'committed', SubmitReplySchema)
}

/** Registers the routes. */
export function submitRoutes(app: FastifyInstance, context: RouteContext): void {
  const { port } = context
  const handler = (request: FastifyRequest, reply: FastifyReply): Promise<SubmitReply> => {
    const { body, headers } = request
    const tasks = draftsOf(body, port.now())
    const header = headers[HEADERS.idempotencyKey]
    const submitted =
      header === undefined
        ? port.submit({ tasks })
        : port.submit({ tasks, idempotency: idempotencyOf(header, body) })
    const answered = Array.isArray(body)
      ? submitted.then((receipt) => answer(reply, receipt, true))
      : submitted.then((receipt) => answer(reply, receipt, false), ofOnlyTask)
    const { eta } = request.query as { readonly eta?: boolean }
    return eta === true ? answered.then((receipt) => withEta(context, receipt, request.id)) : answered
  }
  app.post('/v1/tasks', { schema: { ...schema, operationId: 'submit' } }, handler)
  app.post('/tasks/submit', { schema: { ...schema, operationId: 'submitSeed' } }, handler)
}

function answer(reply: FastifyReply, receipt: SubmitReceipt, array: boolean): SubmitReply {
  const ids = receipt.ids.map(formatTaskId)
  const first = receipt.ids.reduce((lowest, id) => (id < lowest ? id : lowest))
  reply.code(202)
  if (receipt.replayed) reply.header(HEADERS.idempotentReplayed, 'true')
  const common = { firstId: formatTaskId(first), count: ids.length, ids, replayed: receipt.replayed }
  const id = ids[0]
  if (array || id === undefined) return common
  reply.header('location', `/v1/tasks/${id}`)
  return { id, ...common }
}

/** What was committed is acknowledged whatever becomes of the forecast. */
async function withEta(
  { port, log }: RouteContext,
  receipt: SubmitReply,
  requestId: string
): Promise<SubmitReply> {
  const first = parseTaskId(receipt.firstId)
  if (first === undefined) return receipt
  try {
    const eta = await port.optimizer.submissionEta(first, receipt.count)
    return eta === undefined ? receipt : { ...receipt, eta }
  } catch (error) {
    log.error(
      { requestId, error: { message: toAppError(error).message } },
      'a submission was answered without its eta'
    )
    return receipt
  }
}

/** Whoever checks submissions sees arrays only: for a single task its fields are those of the body. */
function ofOnlyTask(error: unknown): never {
  const prefix = 'tasks[0].'
  if (!(error instanceof AppError) || !String(error.details['field']).startsWith(prefix)) throw error
  throw new AppError(error.code, error.message.replace(prefix, ''), {
    cause: error,
    details: { ...error.details, field: String(error.details['field']).replace(prefix, '') }
  })
}

/** The header's value, which may stand in quotes as in structured fields, with the identity of the body. */
function idempotencyOf(header: string | readonly string[], body: unknown): IdempotencyKey {
  const text = typeof header === 'string' ? header : header.join(', ')
  const key = /^"(.*)"$/.exec(text)?.[1] ?? text
  if (key.length === 0 || key.length > LIMITS.idempotencyKeyLength || !/^[\x20-\x7e]+$/.test(key)) {
    throw invalid(
      HEADERS.idempotencyKey,
      key,
      `1 to ${LIMITS.idempotencyKeyLength} printable ASCII characters`
    )
  }
  return { key, fingerprint: fingerprint(body), ttlMs: durationMs(LIMITS.keyTtlMs) }
}
