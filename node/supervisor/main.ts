/** The supervisor process. Started by the node with its settings as JSON; talks over standard input and output. */
import { createChannel } from './channel.ts'
import { closeInheritedFiles } from './inherited-files.ts'
import type { FromSupervisor, SupervisorSettings, ToSupervisor } from './protocol.ts'
import { openSpawnRecord } from './spawn-record.ts'
import { createSupervisor } from './supervisor.ts'
import type { Supervisor } from './supervisor.ts'

closeInheritedFiles()
const settings = JSON.parse(process.argv[2] ?? '{}') as SupervisorSettings
const record = openSpawnRecord(settings.folder)
const early: ToSupervisor[] = []
let supervisor: Supervisor | undefined
let ending = false

const channel = createChannel<FromSupervisor, ToSupervisor>(process.stdin, process.stdout, {
  onMessage: (message) => {
    if (supervisor === undefined) early.push(message)
    else supervisor.onMessage(message)
  },
  onClose: end
})
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, end)

const leftovers = await record.killLeftovers()
if (!ending) {
  record.begin()
  supervisor = createSupervisor(settings, record, channel)
  channel.send({ type: 'ready', mark: record.mark, leftovers })
  for (const message of early) supervisor.onMessage(message)
}

function end(): void {
  if (ending) return
  ending = true
  const exit = (): void => {
    process.exit(0)
  }
  if (supervisor === undefined) exit()
  else supervisor.shutDown(exit)
}
