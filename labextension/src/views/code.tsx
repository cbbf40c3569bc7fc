/** Code and texts drawn by JupyterLab's own renderers, never trusted. */
import { IRenderMimeRegistry, MimeModel } from '@jupyterlab/rendermime';
import { Widget } from '@lumino/widgets';
import { useLayoutEffect, useRef } from 'react';

/** Puts a Lumino widget where React draws. */
export function Hosted({ make, deps }: { make(): Widget; deps: readonly unknown[] }) {
  const node = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const widget = make();
    Widget.attach(widget, node.current!);
    return () => {
      if (widget.isAttached) {
        Widget.detach(widget);
      }
      widget.dispose();
    };
  }, deps);
  return <div ref={node} />;
}

export function rendered(registry: IRenderMimeRegistry, type: string, source: string): Widget {
  const renderer = registry.createRenderer(type);
  void renderer.renderModel(new MimeModel({ data: { [type]: source }, trusted: false })).catch(error => {
    console.error('MLRun: a cell could not be drawn', error);
    renderer.node.textContent = source;
  });
  return renderer;
}

/** More ticks than any run of them inside, as Markdown asks of a fence. */
function fence(source: string): string {
  const longest = Math.max(2, ...[...source.matchAll(/`+/g)].map(match => match[0].length));
  return '`'.repeat(longest + 1);
}

/** Highlighted code, to be read. */
export function CodeBlock({
  source,
  language,
  registry
}: {
  source: string;
  language: string;
  registry: IRenderMimeRegistry;
}) {
  const ticks = fence(source);
  return (
    <div className="mlrun-Cell-source">
      <Hosted
        make={() => rendered(registry, 'text/markdown', `${ticks}${language}\n${source}\n${ticks}`)}
        deps={[source, language]}
      />
    </div>
  );
}
