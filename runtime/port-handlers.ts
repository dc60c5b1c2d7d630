/** What a node's parts do when its attempt host or its transport has something to say. */
import { AppError } from '../base/errors.ts'
import type { NodeCore } from './node-core.ts'
import type { AttemptHandlers } from './ports/attempt-host.ts'
import type { Clock } from './ports/clock.ts'
import type { Logger } from './ports/log.ts'
import type { TransportHandlers } from './ports/transport.ts'

export function attemptHandlers(core: NodeCore, clock: Clock): AttemptHandlers {
  return {
    onStarted: (token, startedAt) => {
      core.reconciler.started(token, startedAt)
    },
    onOutput: (token, stream, bytes) => {
      const attempt = core.reconciler.attemptOf(token)
      if (attempt === undefined) return
      core.logs.append(attempt.taskId, attempt.attempt, stream, clock.wallNow(), bytes)
    },
    onExit: (exit) => {
      const attempt = core.reconciler.attemptOf(exit.token)
      if (attempt !== undefined) core.logs.ended(attempt.taskId, attempt.attempt)
      core.reconciler.exited(exit)
      core.loop.schedule()
    },
    onLost: (error) => {
      core.fail(new AppError('INTERNAL', 'the supervisor process is gone', { cause: error }))
    }
  }
}

export function transportHandlers(core: NodeCore, logger: Logger): TransportHandlers {
  return {
    onFrame: (from, channel, frame) => {
      core.receive(from, channel, frame)
    },
    onConnection: (peer, connected) => {
      logger.debug({ peer, connected }, 'peer connection changed')
    },
    onRequest: (from, member, request) => core.desk.answer(from, member, request),
    onSnapshot: (from, header, chunks) => core.receiver.receive(from, header, chunks)
  }
}
