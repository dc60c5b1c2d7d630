/** What every route is given, and the small steps that most of them share. */
import type { FastifyReply } from 'fastify'
import { AppError, toAppError } from '../base/errors.ts'
import { parseTaskId } from '../base/ids.ts'
import type { TaskId } from '../base/ids.ts'
import { DEADLINES } from '../base/wire/deadlines.ts'
import type { Eta } from '../base/wire/forecast.ts'
import type { KnownTaskRecord, NodePort, TaskOutlook, TaskRecord } from './ports.ts'
import type { Task } from '../scheduler/types.ts'
import { shown } from './validation.ts'

/** Where the server reports what an operator must act on. */
export interface ServerLog {
  error(fields: Readonly<Record<string, unknown>>, message: string): void
}

export interface RouteContext {
  readonly port: NodePort
  readonly log: ServerLog
  readonly streams: Streams
  /** Between two signs of life on an idle event stream. */
  readonly heartbeatMs: number
}

/** Replies that stay open (long polls, followed logs), so that closing the server can end them. */
export class Streams {
  readonly #open = new Map<FastifyReply, AbortController>()

  /** A signal that aborts when the client is gone, the reply is complete, or the server closes. */
  signalFor(reply: FastifyReply): AbortSignal {
    const controller = new AbortController()
    this.#open.set(reply, controller)
    reply.raw.once('close', () => {
      this.#open.delete(reply)
      controller.abort()
    })
    return controller.signal
  }

  /** Ends them all, and their connections: one that is kept alive would hold up the server's end. */
  closeAll(): void {
    for (const [reply, controller] of this.#open) {
      const { socket } = reply.request.raw
      reply.raw.once('finish', () => socket.end())
      controller.abort()
    }
  }
}

/** What reads may ask about freshness. */
export interface ReadQuery {
  readonly index?: number
  readonly consistency?: 'linearizable' | 'stale'
}

/**
 * Waits until this node may answer: past `?index=`, and, unless `?consistency=stale`, up to all that was committed
 * before the request. Undefined when there is nothing to wait for.
 */
export function settle(port: NodePort, query: ReadQuery): Promise<void> | undefined {
  const { index, consistency } = query
  if (index === undefined || index <= port.appliedIndex()) {
    return consistency === 'stale' ? undefined : port.readIndex()
  }
  return port.waitApplied(index, DEADLINES.appliedMs).then((reached) => {
    if (!reached) {
      throw new AppError('TIMEOUT', `index: this node applied ${port.appliedIndex()}, expected ${index}`, {
        details: { field: 'index', got: port.appliedIndex(), expected: String(index) }
      })
    }
    return consistency === 'stale' ? undefined : port.readIndex()
  })
}

/** What is expected of a live task. Advice that fails is logged and left out: it must not cost anybody the task itself. */
export async function outlookOf(
  { port, log }: RouteContext,
  task: Task,
  requestId: string
): Promise<TaskOutlook | undefined> {
  try {
    return await port.optimizer.outlook(task)
  } catch (error) {
    log.error(
      { requestId, error: { message: toAppError(error).message } },
      'a task was shown without its outlook'
    )
    return undefined
  }
}

/** When each of these records' tasks is expected to be done; undefined for those that have ended. As `outlookOf`, it never fails. */
export async function etasOf(
  { port, log }: RouteContext,
  records: readonly KnownTaskRecord[],
  requestId: string
): Promise<readonly (Eta | undefined)[]> {
  const live = records.flatMap((record) => (record.kind === 'live' ? [record.task] : []))
  if (live.length === 0) return []
  try {
    const etas = (await port.optimizer.etas(live)).values()
    return records.map(({ kind }) => (kind === 'live' ? etas.next().value : undefined))
  } catch (error) {
    log.error(
      { requestId, error: { message: toAppError(error).message } },
      'tasks were shown without their eta'
    )
    return []
  }
}

/** The id that a path names; TASK_NOT_FOUND when it is not of an id's form. */
export function taskIdOf(text: string): TaskId {
  const id = parseTaskId(text)
  if (id !== undefined) return id
  throw new AppError('TASK_NOT_FOUND', `id: got ${shown(text)}, expected a task id such as "t-42"`, {
    details: {
      field: 'id',
      got: text.length <= 80 ? text : shown(text),
      expected: 'a task id such as "t-42"'
    }
  })
}

/** The record of a task that is still known; TASK_NOT_FOUND or RETIRED otherwise. */
export function knownRecord(record: TaskRecord, text: string): KnownTaskRecord {
  switch (record.kind) {
    case 'live':
    case 'ended':
      return record
    case 'retired':
      throw new AppError('RETIRED', `task ${text} ended long ago and its record was retired`)
    case 'unknown':
      throw new AppError('TASK_NOT_FOUND', `there is no task ${text}`)
  }
}
