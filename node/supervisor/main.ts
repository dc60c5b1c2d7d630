/** The supervisor process. Started by the node with its settings as JSON; talks over standard input and output. */
import { createChannel } from './channel.ts'
import { closeInheritedFiles } from './inherited-files.ts'
import type { FromSupervisor, SupervisorSettings, ToSupervisor } from './protocol.ts'
import { removeSocketFolder } from './socket-folder.ts'
import { openSpawnRecord } from './spawn-record.ts'
import { createSupervisor } from './supervisor.ts'
import type { Supervisor } from './supervisor.ts'

closeInheritedFiles()
const settings = JSON.parse(process.argv[2] ?? '{}') as SupervisorSettings
const record = openSpawnRecord(settings.folder)
const early: ToSupervisor[] = []
const state: { supervisor: Supervisor | undefined; ending: boolean } = {
  supervisor: undefined,
  ending: false
}

const channel = createChannel<FromSupervisor, ToSupervisor>(process.stdin, process.stdout, {
  onMessage: (message) => {
    if (state.supervisor === undefined) early.push(message)
    else state.supervisor.onMessage(message)
  },
  onClose: () => {
    // The node is gone, or has no use for it any more: one that was killed could not remove it itself.
    removeSocketFolder(settings.socketPath)
    end()
  }
})
for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(name, end)

const leftovers = await record.killLeftovers()
if (!state.ending) {
  record.begin()
  const supervisor = createSupervisor(settings, record, channel)
  state.supervisor = supervisor
  channel.send({ type: 'ready', leftovers })
  for (const message of early) supervisor.onMessage(message)
}

function end(): void {
  if (state.ending) return
  state.ending = true
  const exit = (): void => {
    process.exit(0)
  }
  if (state.supervisor === undefined) exit()
  else state.supervisor.shutDown(exit)
}
