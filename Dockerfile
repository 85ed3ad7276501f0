# Airflow's own image with this source tree's package in it, for docker-compose.yaml.
#
# Without BuildKit's extras, so that docker-compose 1.29 builds it too.

# By its tag and not by a digest: the digest differs by processor, and Airflow builds a tag anew when Debian mends
# something. The image is for a laptop; build your own on a digest that you have looked at.
FROM apache/airflow:3.3.2-python3.12 AS airflow


# The wheel, apart: neither sources nor build tools get into the image.
FROM airflow AS wheel
COPY --chown=airflow:root constraints/build.txt /tmp/build.txt
RUN pip install --quiet --no-cache-dir --require-hashes --requirement /tmp/build.txt
COPY --chown=airflow:root pyproject.toml README.md LICENSE /tmp/source/
COPY --chown=airflow:root tools/package_metadata.py /tmp/source/tools/
COPY --chown=airflow:root dags /tmp/source/dags
COPY --chown=airflow:root airflow_bda /tmp/source/airflow_bda
RUN pip wheel --quiet --no-cache-dir --no-deps --no-build-isolation --wheel-dir /tmp/wheels /tmp/source


FROM airflow
# What the package needs changes seldom, so that it stands before the package.
COPY --chown=airflow:root pyproject.toml constraints/newest.txt tools/stack/dependencies.py /tmp/dependencies/
RUN cd /tmp/dependencies \
    && python dependencies.py \
    && pip install --quiet --no-cache-dir --requirement requirements.txt --constraint constraints.txt

# Airflow's image comes without bytecode, and each container would compile Airflow again at each of its starts.
COPY --chown=airflow:root tools/stack/warm_up.py /tmp/warm_up.py
RUN AIRFLOW_HOME=/tmp/warm-up python /tmp/warm_up.py && rm -rf /tmp/warm-up

COPY --from=wheel /tmp/wheels /tmp/wheels
RUN pip install --quiet --no-cache-dir --no-deps /tmp/wheels/*.whl

COPY --chown=airflow:root tools/stack /opt/airflow/stack
