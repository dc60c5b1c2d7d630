/**
 * A pool process. Arguments: the node's socket, its own number, its role. It ends when the socket does; whatever keeps
 * it from noticing, the supervisor does not need its help to end it.
 */
import { connect } from 'node:net'
import { createChannel } from '../../supervisor/channel.ts'
import type { Channel } from '../../supervisor/channel.ts'
import { watchChildren } from './child-watch.ts'
import type { FromPool, ToPool } from './protocol.ts'
import { createRunner } from './runner.ts'
import { createSerialRunner } from './serial-runner.ts'
import { createThreads } from './threads.ts'

/** Output that the node has not taken; beyond it more is dropped, since a handler that logs cannot be made to wait. */
const OUTPUT_QUEUE_BYTES = 8 * 1024 * 1024
const FLUSH_OUTPUT_BYTES = 64 * 1024

const [socketPath = '', number = '', role = ''] = process.argv.slice(2)
const secret = process.env['DTSS_POOL_SECRET'] ?? ''
// Handlers have no business with it, nor what they start.
delete process.env['DTSS_POOL_SECRET']

/** Attempts whose start must have left the process before their handler is called. */
const announced = new Set<number>()
/** Whether further attempts are at hand, so that their ends will soon be told of too. */
let moreFollow = (): boolean => false

const socket = connect(socketPath)
const channel: Channel<FromPool> = createChannel<FromPool, ToPool>(socket, socket, {
  onMessage: roleOf(role),
  onClose: () => {
    process.exit(0)
  }
})
channel.send({ type: 'hello', child: Number(number), secret })

function roleOf(name: string): (message: ToPool) => void {
  if (name === 'discover') return discover
  if (name === 'threads') return createThreads(send)
  const runner = createSerialRunner(send, (sendOn) => createRunner(sendOn, watchChildren()))
  moreFollow = () => runner.queued > 0
  return (message) => {
    if (message.type === 'run') {
      if (message.announce) announced.add(message.attempt.token)
      runner.run(message.attempt, message.notAfter)
    } else if (message.type === 'abort') runner.abort(message.token, message.reason)
    else if (message.type === 'recall') runner.recall()
    else if (message.type === 'handlers') runner.setHandlers(message.handlers)
  }
}

let unflushed = 0
let dropped = 0
function send(message: FromPool): void {
  if (message.type === 'output') {
    if (channel.queuedBytes() > OUTPUT_QUEUE_BYTES) {
      dropped += message.bytes.length
      return
    }
    if (dropped > 0) {
      const note = Buffer.from(`[${dropped} bytes of output were dropped]\n`)
      channel.send({ type: 'output', token: message.token, stream: message.stream, bytes: note })
      dropped = 0
    }
    unflushed += message.bytes.length
  }
  channel.send(message)
  // The node waits for the last `done` to send more, so that one does not wait for the end of the macrotask. And before a
  // handler runs, the node knows that it does: one that blocks or crashes the process is told from those behind it.
  const nodeWaits =
    message.type === 'done' ? !moreFollow() : message.type === 'started' && announced.has(message.token)
  if (message.type === 'done') announced.delete(message.token)
  if (!nodeWaits && unflushed < FLUSH_OUTPUT_BYTES) return
  unflushed = 0
  channel.flush()
}

function discover(message: ToPool): void {
  if (message.type !== 'discover') return
  // Only here, since the compiler need not be in memory where handlers run.
  void import('../../handlers/discover.ts').then(async ({ discoverHandlers }) => {
    const found = await discoverHandlers(message.folder, message.cacheFolder)
    channel.send({ type: 'discovered', ...found })
  })
}
