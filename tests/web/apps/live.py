"""A Streamlit app with a chart that gets a new point every 300 ms."""

import streamlit as st

name = st.context.headers.get("X-Forwarded-Preferred-Username", "stranger")
st.header(f"Watching for {name}")


@st.fragment(run_every=0.3)
def live():
    points = st.session_state.setdefault("points", [])
    points.append((len(points) * 37) % 101)
    st.line_chart(points)
    st.text(f"{len(points)} points")


live()
