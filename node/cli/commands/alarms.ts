/** `dtss alarms`: deadlines at risk, stuck attempts, and trouble of the optimizer. Exits with 1 when there are any. */
import type { Command } from 'commander'
import type { Alarm } from '../../../client/index.ts'
import { connect, connectToLeader, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { EXIT, print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatAge, formatTable } from '../format.ts'

export function define(command: Command, context: CliContext): void {
  connectionOptions(command).action(async (options: ConnectionOptions) => {
    const alarms = await alarmsOf(context, options)
    if (alarms.length > 0) context.exitCode = EXIT.failed
    if (options.json === true) {
      printJson(context, { ok: alarms.length === 0, alarms })
      return
    }
    if (alarms.length === 0) {
      print(context, 'no alarms')
      return
    }
    const rows = alarms.map(({ kind, id, since, message }) => [
      kind,
      id ?? '-',
      since === undefined ? '-' : formatAge(since, context.now()),
      message
    ])
    for (const line of formatTable(['KIND', 'TASK', 'SINCE', 'WHAT'], rows)) print(context, line)
  })
}

/**
 * The leader's: what is wrong with the policy, and with training, nobody else finds. Beside them, what the node that was asked has found in
 * itself and the leader has not, such as a model that it cannot read.
 */
async function alarmsOf(context: CliContext, options: ConnectionOptions): Promise<Alarm[]> {
  const { signal } = context
  const client = connect(context, options)
  const own = await client.alarms({ signal })
  // Of several nodes the one that answered is asked first again: it says who it is.
  const { node, leader } = await client.cluster({ consistency: 'stale', signal })
  if (leader === undefined || leader.id === node.id) return own
  const alarms = await (await connectToLeader(context, options)).alarms({ signal })
  const known = new Set(alarms.map(({ message }) => message))
  return [
    ...alarms,
    ...own
      .filter(({ id, message }) => id === undefined && !known.has(message))
      .map((alarm) => ({ ...alarm, message: `node ${node.id}: ${alarm.message}` }))
  ]
}
