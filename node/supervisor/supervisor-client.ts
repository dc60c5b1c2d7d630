/** The node's end of its supervisor process: starts it, talks to it, and notices its end. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { AppError } from '../../base/errors.ts'
import type { Logger } from '../../runtime/ports/log.ts'
import { createChannel } from './channel.ts'
import type { Channel } from './channel.ts'
import { entryPoint } from './entry.ts'
import type { FromSupervisor, SupervisorSettings, ToSupervisor } from './protocol.ts'

export interface SupervisorClientHandlers {
  onMessage(message: FromSupervisor): void
  /** The process is gone although nobody closed it. */
  onLost(error: Error): void
}

export interface SupervisorClient {
  readonly pid: number
  readonly channel: Channel<ToSupervisor>
  /** How many processes of a predecessor were killed first. */
  readonly leftovers: number
  /** Ends the channel; resolves when the process is gone, and everything it started before it. */
  close(): Promise<void>
}

/** Starts a supervisor process; resolves when nothing of a predecessor runs any more. */
export function startSupervisor(
  settings: SupervisorSettings,
  log: Logger,
  handlers: SupervisorClientHandlers
): Promise<SupervisorClient> {
  return new Promise((resolve, reject) => {
    // Options meant for the node, such as a debugger's port, are not the supervisor's.
    const env = { ...process.env }
    delete env['NODE_OPTIONS']
    // A session of its own: what a terminal sends to the node's group must not reach it.
    const child = spawn(process.execPath, [entryPoint('node/supervisor/main'), JSON.stringify(settings)], {
      detached: true,
      env,
      stdio: ['pipe', 'pipe', 'pipe']
    })
    child.stderr.on('data', (bytes: Buffer) => {
      log.error({ text: bytes.toString('utf8').slice(0, 2000) }, 'the supervisor process reports a problem')
    })
    let ready = false
    let closing = false
    const exited = exitOf(child)
    const channel = createChannel<ToSupervisor, FromSupervisor>(child.stdout, child.stdin, {
      onMessage: (message) => {
        if (message.type !== 'ready') {
          handlers.onMessage(message)
          return
        }
        ready = true
        const close = async (): Promise<void> => {
          closing = true
          channel.close()
          await exited
        }
        resolve({ pid: child.pid ?? 0, channel, leftovers: message.leftovers, close })
      },
      // The process decides on its own end; its exit is awaited below.
      onClose: () => undefined
    })
    void exited.then((how) => {
      const error = new AppError('INTERNAL', `the supervisor process ${how}`)
      if (!ready) reject(error)
      else if (!closing) handlers.onLost(error)
    })
  })
}

function exitOf(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    child.once('error', (error) => {
      resolve(`could not be started: ${error.message}`)
    })
    // `close` rather than `exit`: all that it said has been read by then.
    child.once('close', (code, signal) => {
      resolve(signal === null ? `exited with code ${code ?? 'unknown'}` : `was ended by ${signal}`)
    })
  })
}
