/** What fills a directory: rectangles as large as what they stand for, and the same as a list. */
import { type ReactNode, useMemo } from "react";
import { type Place, squarify } from "../../session/treemap.ts";
import { bytes, share } from "../../session/units.ts";
import type { SpaceNode, SpaceTree } from "../../session/wire.gen.ts";

interface Placed {
  readonly key: number;
  readonly node: SpaceNode;
  readonly path: string;
  readonly depth: number;
  readonly place: Place;
}

/** The map is this many times as wide as it is high. */
const ratio = 1.8;
/** What is smaller than this share of the map is not drawn; its directory is. */
const leastShare = 0.0006;
/** How far down directories are opened. */
const mostDepth = 3;
/** Rows of the list. */
const mostRows = 40;

/** See the file's comment. */
export function TreeMap(props: {
  readonly tree: SpaceTree;
  readonly into: (path: string) => void;
}): ReactNode {
  const { tree, into } = props;
  const placed = useMemo(() => layOut(tree), [tree]);
  const root = tree.nodes?.[0];
  if (root === undefined) return null;
  const largest = placed
    .filter((p) => p.depth > 0 && p.node.name !== "")
    .sort((a, b) => b.node.bytes - a.node.bytes)
    .slice(0, mostRows);
  return (
    <>
      <div className="hv-map" aria-hidden="true" style={{ aspectRatio: String(ratio) }}>
        {placed
          .filter((p) => p.depth > 0)
          .map((p) => (
            // biome-ignore lint/a11y/noStaticElementInteractions: the list below does the same with the keyboard
            // biome-ignore lint/a11y/useKeyWithClickEvents: as above
            <div
              key={p.key}
              className={`hv-box hv-box-${p.depth % 4}${p.node.dir ? " hv-box-dir" : ""}`}
              title={`${p.path}\n${bytes(p.node.bytes)}, ${share(p.node.bytes, root.bytes)}`}
              style={{
                left: `${(p.place.x / ratio) * 100}%`,
                top: `${p.place.y * 100}%`,
                width: `${(p.place.width / ratio) * 100}%`,
                height: `${p.place.height * 100}%`,
              }}
              onClick={(e) => {
                e.stopPropagation();
                if (p.node.dir && p.node.name !== "") into(p.path);
              }}
            >
              {p.place.width * p.place.height > 0.008 && (
                <span>
                  {p.node.name || "smaller"} <small>{bytes(p.node.bytes)}</small>
                </span>
              )}
            </div>
          ))}
      </div>
      <table className="hv-table">
        <thead>
          <tr>
            <th scope="col">The largest</th>
            <th scope="col">Size</th>
            <th scope="col">Share</th>
            <th scope="col">Files</th>
          </tr>
        </thead>
        <tbody>
          {largest.map((p) => (
            <tr key={p.key}>
              <th scope="row">
                {p.node.dir ? (
                  <button type="button" className="hv-link" onClick={() => into(p.path)}>
                    {p.path}
                  </button>
                ) : (
                  p.path
                )}
              </th>
              <td>{bytes(p.node.bytes)}</td>
              <td>{share(p.node.bytes, root.bytes)}</td>
              <td>{p.node.dir ? p.node.files.toLocaleString() : ""}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function layOut(tree: SpaceTree): readonly Placed[] {
  const nodes = tree.nodes ?? [];
  const children: number[][] = nodes.map(() => []);
  for (const [i, n] of nodes.entries())
    if (i > 0 && n.parent >= 0 && n.parent < i) children[n.parent]?.push(i);
  const out: Placed[] = [];
  const lay = (i: number, path: string, depth: number, place: Place) => {
    const node = nodes[i];
    if (node === undefined) return;
    out.push({ key: i, node, path, depth, place });
    if (depth >= mostDepth || place.width * place.height < leastShare * 20) return;
    const below = (children[i] ?? []).sort((a, b) => (nodes[b]?.bytes ?? 0) - (nodes[a]?.bytes ?? 0));
    const inner = depth === 0 ? place : inset(place);
    // The share of what is not listed stays empty.
    const listed = below.map((c) => nodes[c]?.bytes ?? 0);
    const rest = Math.max(0, node.bytes - listed.reduce((a, b) => a + b, 0));
    const places = squarify([...listed, rest], inner);
    for (const [k, c] of below.entries()) {
      const p = places[k];
      if (p !== undefined && p.width * p.height >= leastShare)
        lay(c, join(path, nodes[c]?.name ?? ""), depth + 1, p);
    }
  };
  lay(0, tree.path, 0, { x: 0, y: 0, width: ratio, height: 1 });
  return out;
}

/** Room for a directory's own name above what is in it. */
function inset(p: Place): Place {
  const edge = 0.004;
  const head = Math.min(0.045, p.height / 4);
  return {
    x: p.x + edge,
    y: p.y + head,
    width: Math.max(0, p.width - 2 * edge),
    height: Math.max(0, p.height - head - edge),
  };
}

const join = (path: string, name: string) => (path.endsWith("/") ? `${path}${name}` : `${path}/${name}`);
