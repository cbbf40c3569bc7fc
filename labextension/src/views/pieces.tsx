/** Pieces that views are made of. */
import { Clipboard, Notification } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { LabIcon, ReactWidget, copyIcon } from '@jupyterlab/ui-components';
import { ReactNode, useEffect, useRef, useState } from 'react';
import { ApiError } from '../api/client';
import { asApiError } from '../model';
import { Boundary, ErrorBox, Trans, useTrans } from '../parts';

/** A view of one thing in the main area; see `addView`. */
export abstract class View extends ReactWidget {
  constructor(
    readonly key: string,
    readonly args: Record<string, any>,
    kind: string,
    icon: LabIcon,
    protected readonly _trans: TranslationBundle
  ) {
    super();
    this.id = `${kind}-${key}`;
    this.title.caption = key;
    this.title.icon = icon;
    this.title.closable = true;
    this.addClass('mlrun-View');
    this.node.tabIndex = -1;
  }

  protected abstract body(): ReactNode;

  render() {
    return (
      <Trans.Provider value={this._trans}>
        <Boundary name={this.title.label}>{this.body()}</Boundary>
      </Trans.Provider>
    );
  }
}

export interface ILoaded<T> {
  value: T | null;
  error: ApiError | null;
  again(): void;
}

/**
 * What `read` gives; what was there stays until the answer comes.
 * @param of what is asked for: when it changes, an answer that is still to come is for another question, and is thrown away.
 * @param turn read again when this changes; while a read is under way, once more when it is done. Each answer is shown, so that what is
 * told of more often than it can be read is seen all the same.
 */
export function useLoad<T>(read: () => Promise<T>, of: readonly unknown[], turn?: unknown): ILoaded<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const newest = useRef(read);
  newest.current = read;
  const want = useRef(() => {});
  useEffect(() => {
    let gone = false;
    let reading = false;
    let wanted = false;
    const ask = async () => {
      wanted = true;
      if (reading) {
        return;
      }
      reading = true;
      while (wanted && !gone) {
        wanted = false;
        try {
          const found = await newest.current();
          if (!gone) {
            setValue(found);
            setError(null);
          }
        } catch (failure) {
          if (!gone) {
            setError(asApiError(failure));
          }
        }
      }
      reading = false;
    };
    want.current = () => void ask();
    return () => {
      gone = true;
    };
  }, of);
  useEffect(() => want.current(), [...of, turn]);
  const [again] = useState(() => () => want.current());
  return { value, error, again };
}

/** Draws what was loaded, or that it is not there yet, or why it is not. */
export function Loaded<T>({ of, draw }: { of: ILoaded<T>; draw(value: T): ReactNode }) {
  const trans = useTrans();
  return (
    <>
      {of.error && <ErrorBox error={of.error} retry={of.again} />}
      {of.value !== null
        ? draw(of.value)
        : !of.error && (
            <div className="mlrun-Empty" role="status">
              {trans.__('Loading…')}
            </div>
          )}
    </>
  );
}

export const Part = ({ title, children, side }: { title: string; children: ReactNode; side?: ReactNode }) => (
  <section className="mlrun-Part" aria-label={title}>
    <div className="mlrun-Part-head">
      <h2>{title}</h2>
      {side}
    </div>
    <Boundary name={title}>{children}</Boundary>
  </section>
);

/** Names and what they have; what is empty is left out. */
export function Facts({ facts }: { facts: readonly (readonly [string, ReactNode])[] }) {
  return (
    <dl>
      {facts
        .filter(([, each]) => each !== '' && each !== null && each !== undefined && each !== false)
        .map(([name, each]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd title={typeof each === 'string' ? each : undefined}>{each}</dd>
          </div>
        ))}
    </dl>
  );
}

export function Button(props: {
  children: ReactNode;
  onClick(): void;
  look?: 'accept' | 'warn' | 'reject' | 'minimal';
  disabled?: boolean;
  /** Does nothing for now, and keeps the focus, which a disabled button would lose. */
  busy?: boolean;
  label?: string;
}) {
  return (
    <button
      type="button"
      className={`jp-Button jp-mod-styled jp-mod-${props.look ?? 'reject'}`}
      disabled={props.disabled}
      aria-disabled={props.busy || undefined}
      aria-label={props.label}
      title={props.label}
      onClick={() => !props.busy && props.onClick()}
    >
      {props.children}
    </button>
  );
}

/** What looks like a link and opens a view. */
export const Link = ({ children, onClick, title }: { children: ReactNode; onClick(): void; title?: string }) => (
  <button type="button" className="mlrun-Link" title={title} onClick={onClick}>
    {children}
  </button>
);

export function copied(trans: TranslationBundle, text: string): void {
  Clipboard.copyToSystem(text);
  Notification.info(trans.__('Copied: %1', text), { autoClose: 3000 });
}

/** A line of code, to be taken along. */
export function CodeLine({ code }: { code: string }) {
  const trans = useTrans();
  return (
    <div className="mlrun-CodeLine">
      <code>{code}</code>
      <button
        type="button"
        className="jp-Button jp-mod-minimal"
        title={trans.__('Copy')}
        aria-label={trans.__('Copy: %1', code)}
        onClick={() => copied(trans, code)}
      >
        <copyIcon.react tag="span" />
      </button>
    </div>
  );
}

/** Tells what failed, where there is no better place. */
export async function attempt(call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (failure) {
    const error = asApiError(failure);
    Notification.error([error.what, error.why, error.nextStep].filter(Boolean).join(' '), { autoClose: false });
  }
}

/** One of several; arrow keys move, as in any list of tabs. */
export function Tabs<T extends string>(props: {
  label: string;
  tabs: readonly (readonly [NoInfer<T>, string])[];
  at: T;
  set(to: NoInfer<T>): void;
}) {
  const node = useRef<HTMLDivElement>(null);
  const move = (event: React.KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step) {
      const count = props.tabs.length;
      const to = (props.tabs.findIndex(([id]) => id === props.at) + step + count) % count;
      props.set(props.tabs[to][0]);
      (node.current!.children[to] as HTMLElement).focus();
      event.preventDefault();
    }
  };
  return (
    <div className="mlrun-Tabs" role="tablist" aria-label={props.label} ref={node} onKeyDown={move}>
      {props.tabs.map(([id, name]) => (
        <button
          key={id}
          type="button"
          role="tab"
          aria-selected={id === props.at}
          tabIndex={id === props.at ? 0 : -1}
          onClick={() => props.set(id)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}
