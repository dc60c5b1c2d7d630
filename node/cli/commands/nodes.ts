/**
 * `dtss nodes`: asks for what the node itself knows, so that it answers without a leader too. `dtss nodes --leave <id>` has
 * a node leave.
 */
import type { Command } from 'commander'
import type { NodeInfo } from '../../../client/index.ts'
import { connect, connectionOptions } from '../connection.ts'
import type { ConnectionOptions } from '../connection.ts'
import { print, printJson } from '../context.ts'
import type { CliContext } from '../context.ts'
import { formatTable } from '../format.ts'
import { parseCount } from '../start-options.ts'

const HEADINGS = ['ID', 'ROLE', 'STATUS', 'SLOTS', 'ZONE', 'URL', 'VERSION']

interface Options extends ConnectionOptions {
  readonly leave?: number
}

export function define(command: Command, context: CliContext): void {
  command.option('--leave <id>', 'have this node finish its work and leave the cluster', parseCount)
  connectionOptions(command).action(async (options: Options) => {
    if (options.leave !== undefined) {
      const node = await connect(context, options).leaveNode(options.leave, { signal: context.signal })
      if (options.json === true) printJson(context, { ok: true, node })
      else print(context, `node ${node.id} is ${node.status}`)
      return
    }
    const cluster = await connect(context, options).cluster({ consistency: 'stale', signal: context.signal })
    if (options.json === true) {
      printJson(context, { ok: true, ...cluster })
      return
    }
    for (const line of formatTable(HEADINGS, cluster.nodes.map(rowOf))) print(context, line)
    const leader = cluster.leader === undefined ? 'no leader' : `leader ${cluster.leader.id}`
    print(context, '')
    print(
      context,
      `${leader}, term ${cluster.term}, applied ${cluster.appliedIndex}, policy ${cluster.settings.policy}, as node ${cluster.node.id} sees it`
    )
  })
}

function rowOf(node: NodeInfo): string[] {
  const slots = `${node.usedSlots}/${node.slots}`
  return [
    String(node.id),
    node.role,
    node.status,
    slots,
    node.zone === '' ? '-' : node.zone,
    node.url,
    node.version
  ]
}
