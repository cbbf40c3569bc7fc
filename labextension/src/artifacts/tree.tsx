/** JSON as a tree: a branch is drawn when it is opened, and of a long one a part at a time. */
import { useState } from 'react';
import { value as shown } from '../format';
import { useTrans } from '../parts';

const PART = 100;

export function JsonTree({ value, name = '', depth = 0 }: { value: unknown; name?: string; depth?: number }) {
  const trans = useTrans();
  const [open, setOpen] = useState(depth < 2);
  const [count, setCount] = useState(PART);
  const label = name && <span className="mlrun-Tree-name">{name}: </span>;
  if (value === null || typeof value !== 'object') {
    return (
      <div className="mlrun-Tree-leaf" data-kind={value === null ? 'null' : typeof value}>
        {label}
        <span>{typeof value === 'string' ? JSON.stringify(value) : shown(value)}</span>
      </div>
    );
  }
  const entries = Object.entries(value);
  const list = Array.isArray(value);
  const size = list ? `[${entries.length}]` : `{${entries.length}}`;
  return (
    <details className="mlrun-Tree" open={open} onToggle={event => setOpen(event.currentTarget.open)}>
      <summary>
        {label}
        <span className="mlrun-Dim">{size}</span>
      </summary>
      {open && (
        <div className="mlrun-Tree-branch">
          {entries.slice(0, count).map(([key, each]) => (
            <JsonTree key={key} name={key} value={each} depth={depth + 1} />
          ))}
          {entries.length > count && (
            <button type="button" className="mlrun-Link" onClick={() => setCount(count + PART)}>
              {trans.__('%1 more', entries.length - count)}
            </button>
          )}
        </div>
      )}
    </details>
  );
}
